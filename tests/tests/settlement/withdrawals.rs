//! How earnings leave the pool: within its breaker at once, above it after a delay, and never while they are paused for
//! the bounded time that the program allows.

use anchor_lang::{AccountSerialize, error::ErrorCode, prelude::Pubkey};
use coin::authority::pause;
use settlement::{
    accounts,
    constants::{DUE_LIFE_S, POOL_FLOOR_AIC},
    error::SettleError,
    events::{EarningsWithdrawn, WithdrawalDelayed},
    instruction, seeds,
    state::*,
};
use solana_signer::Signer;
use waybill_mechanism::breaker::DELAY_S;
use waybill_tests::{Refused, Sent, assert_refused, ix::swap};

use crate::desk::*;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// A desk whose vendor has earned `aic`: the tokens are moved from the channel's vault by hand.
fn earned(aic: u64) -> Desk {
    let mut desk = Desk::with_channel(20_000_000_000, 1);
    let owner = desk.net.vendor.pubkey();
    desk.open_earnings(&owner);
    let earnings = desk.earnings(&owner);
    desk.rewrite(earnings, |earnings: &mut Earnings| {
        earnings.credit(aic).unwrap();
    });
    let pool = desk.pool();
    set_tokens(&mut desk, pool, aic);
    desk
}

/// Writes a token account's balance, as no program would let anyone.
fn set_tokens(desk: &mut Desk, account: Pubkey, amount: u64) {
    let mut data = desk.net.world.svm.get_account(&account).unwrap().data;
    data[64..72].copy_from_slice(&amount.to_le_bytes());
    desk.net.world.put(account, TOKEN, data);
}

fn withdraw(desk: &mut Desk, amount: Option<u64>) -> Result<Sent, Refused> {
    let owner = desk.net.vendor.insecure_clone();
    let to = desk.net.world.aic_account(&owner.pubkey());
    let built = desk.withdraw_ix(&owner.pubkey(), to, amount);
    desk.net.world.send(&[built], &[&owner])
}

fn wallet(desk: &Desk) -> u64 {
    desk.token(&anchor_spl::associated_token::get_associated_token_address(&desk.net.vendor.pubkey(), &desk.mint))
}

fn set_pause(desk: &mut Desk, paused: bool) -> Result<Sent, Refused> {
    let admin = desk.net.world.admin.insecure_clone();
    let (authority, config) = (admin.pubkey(), desk.config());
    let flags = pause::WITHDRAWALS;
    let built = if paused {
        ix(&accounts::PauseProgram { authority, config }, &instruction::Pause { flags })
    } else {
        ix(&accounts::ResumeProgram { authority, config }, &instruction::Resume { flags })
    };
    desk.net.world.send(&[built], &[&admin])
}

#[test]
fn s18_the_pool_pays_its_threshold_at_once_and_one_unit_more_only_after_six_hours() {
    let mut desk = earned(3 * POOL_FLOOR_AIC);
    let before = wallet(&desk);
    withdraw(&mut desk, Some(POOL_FLOOR_AIC - 1)).unwrap();
    withdraw(&mut desk, Some(1)).unwrap();
    assert_eq!(wallet(&desk) - before, POOL_FLOOR_AIC, "exactly the threshold");
    let breaker: PoolBreaker = desk.net.world.read(&seeds::find_breaker(&desk.pool()).0);
    assert_eq!((breaker.hour_aic, breaker.day_aic), (POOL_FLOOR_AIC, POOL_FLOOR_AIC));

    let sent = withdraw(&mut desk, Some(1)).unwrap();
    let [event] = sent.cpi_events::<WithdrawalDelayed>().try_into().ok().unwrap();
    assert_eq!((event.amount_aic, event.due_at), (1, desk.now() + DELAY_S));
    assert_eq!(wallet(&desk) - before, POOL_FLOOR_AIC, "nothing was paid");
    desk.advance(DELAY_S - 1);
    assert_refused(withdraw(&mut desk, Some(1)), SettleError::OutflowDelayed);
    desk.advance(1);
    assert_refused(withdraw(&mut desk, Some(2)), SettleError::OutflowDelayed);
    let sent = withdraw(&mut desk, None).unwrap();
    let [event] = sent.cpi_events::<EarningsWithdrawn>().try_into().ok().unwrap();
    assert_eq!(event.amount_aic, 1, "what has waited, not everything");
    // The hour has decayed: as much as before can leave again.
    withdraw(&mut desk, Some(POOL_FLOOR_AIC - 1)).unwrap();
}

#[test]
fn a_delayed_withdrawal_that_is_not_taken_waits_anew() {
    let mut desk = earned(3 * POOL_FLOOR_AIC);
    withdraw(&mut desk, None).unwrap();
    desk.advance(DELAY_S + DUE_LIFE_S);
    let sent = withdraw(&mut desk, None).unwrap();
    assert_eq!(sent.cpi_events::<WithdrawalDelayed>().len(), 1, "again");
    desk.advance(DELAY_S);
    let before = wallet(&desk);
    withdraw(&mut desk, None).unwrap();
    assert_eq!(wallet(&desk) - before, 3 * POOL_FLOOR_AIC);
    assert_eq!(desk.token(&desk.pool()), 0);
}

#[test]
fn nobody_makes_a_delayed_withdrawal_wait_longer() {
    let mut desk = earned(3 * POOL_FLOOR_AIC);
    let owner = desk.net.vendor.insecure_clone();
    let to = desk.net.world.aic_account(&owner.pubkey());
    desk.net.world.must(&[desk.set_sweep_ix(&owner.pubkey(), owner.pubkey())], &[&owner]);
    desk.advance(DAY);
    withdraw(&mut desk, Some(2 * POOL_FLOOR_AIC)).unwrap();
    let due_at = desk.net.world.read::<Earnings>(&desk.earnings(&owner.pubkey())).due_at;
    desk.advance(HOUR);
    let sweep = desk.sweep_earnings_ix(&owner.pubkey(), to);
    assert_refused(desk.net.world.send(&[sweep], &[]), SettleError::OutflowDelayed);
    assert_eq!(desk.net.world.read::<Earnings>(&desk.earnings(&owner.pubkey())).due_at, due_at);
}

#[test]
fn s17_withdrawals_are_paused_for_at_most_72_hours_in_30_days() {
    let mut desk = earned(1_000_000);
    set_pause(&mut desk, true).unwrap();
    assert_refused(withdraw(&mut desk, Some(1)), SettleError::Paused);
    // The time that a resume leaves stays available.
    desk.advance(24 * HOUR);
    set_pause(&mut desk, false).unwrap();
    withdraw(&mut desk, Some(1)).unwrap();
    desk.advance(HOUR);
    set_pause(&mut desk, true).unwrap();
    assert_refused(withdraw(&mut desk, Some(1)), SettleError::Paused);
    // A second pause in a pause changes nothing.
    desk.advance(48 * HOUR - 1);
    set_pause(&mut desk, true).unwrap();
    assert_refused(withdraw(&mut desk, Some(1)), SettleError::Paused);
    desk.advance(1);
    withdraw(&mut desk, Some(1)).unwrap();
    assert_refused(set_pause(&mut desk, true), SettleError::PauseSpent);
    desk.advance(30 * DAY - 1);
    assert_refused(set_pause(&mut desk, true), SettleError::PauseSpent);
    desk.advance(1);
    set_pause(&mut desk, true).unwrap();
    assert_refused(withdraw(&mut desk, Some(1)), SettleError::Paused);
    desk.advance(72 * HOUR);
    withdraw(&mut desk, Some(1)).unwrap();
}

#[test]
fn s04_the_breaker_of_another_pool_or_program_is_refused() {
    let mut desk = earned(1_000);
    let owner = desk.net.vendor.insecure_clone();
    let to = desk.net.world.aic_account(&owner.pubkey());
    let good = desk.withdraw_ix(&owner.pubkey(), to, Some(1));
    let breaker = seeds::find_breaker(&desk.pool()).0;
    let mut other: PoolBreaker = desk.net.world.read(&breaker);
    other.pool = Pubkey::new_unique();
    let mut data = Vec::new();
    other.try_serialize(&mut data).unwrap();
    let elsewhere = Pubkey::new_unique();
    desk.net.world.put(elsewhere, settlement::ID, data);
    let result = desk.net.world.send(&[swap(good.clone(), breaker, elsewhere)], &[&owner]);
    assert_refused(result, SettleError::AccountMismatch);
    let stolen = desk.net.world.forge(&breaker, Some(coin::ID));
    let result = desk.net.world.send(&[swap(good.clone(), breaker, stolen)], &[&owner]);
    assert_refused(result, ErrorCode::AccountOwnedByWrongProgram);
    let result = desk.net.world.send(&[swap(good.clone(), breaker, desk.config())], &[&owner]);
    assert_refused(result, ErrorCode::AccountDiscriminatorMismatch);
    desk.net.world.must(&[good], &[&owner]);
}
