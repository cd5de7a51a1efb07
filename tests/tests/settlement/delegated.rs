//! Delegated mode: a spending limit per period, and every edge of it.

use anchor_lang::prelude::Pubkey;
use settlement::{error::SettleError, events::ChannelSettled, state::GrantTerms};
use solana_signer::Signer;
use waybill_tests::{assert_refused, ix::swap, key};

use crate::desk::*;

const HOUR: i64 = 3_600;

/// A channel with a limit of 1,000 nc an hour and money for far more.
fn hourly() -> Desk {
    let mut desk = Desk::with_channel(10_000_000, 0);
    let terms = GrantTerms { limit_nc: 1_000, period_s: 3_600, ..desk.terms(1_000) };
    desk.send(&[desk.set_delegate_ix(terms)], &[&desk.consumer()]).unwrap();
    desk
}

fn moved(desk: &mut Desk, claim_cum_nc: u64) -> u64 {
    let nonce = desk.state().last_settled_nonce;
    let [event] = desk.settle(claim_cum_nc, nonce).unwrap().cpi_events::<ChannelSettled>().try_into().ok().unwrap();
    assert_eq!(event.delta_aic, event.delta_nc * AIC_PER_NC);
    event.delta_nc
}

#[test]
fn a_limit_refills_at_the_boundary_and_not_a_second_before() {
    let mut desk = hourly();
    let start = desk.now();
    assert_eq!(moved(&mut desk, 1_500), 1_000);
    desk.advance(HOUR - 1);
    assert_eq!(moved(&mut desk, 1_500), 0, "a claim without room moves nothing and is no error");
    desk.advance(1);
    assert_eq!(moved(&mut desk, 1_500), 500);
    assert_eq!((desk.state().grant.period_start, desk.state().grant.used_nc), (start + HOUR, 500));
    desk.advance(1);
    assert_eq!(moved(&mut desk, 9_000), 500);
}

#[test]
fn skipped_periods_keep_the_grid_and_carry_nothing_over() {
    let mut desk = hourly();
    let start = desk.now();
    assert_eq!(moved(&mut desk, 100), 100);
    desk.advance(5 * HOUR + 17);
    assert_eq!(moved(&mut desk, 10_000), 1_000);
    assert_eq!(desk.state().grant.period_start, start + 5 * HOUR);
}

#[test]
fn an_underfunded_claim_pays_what_there_is_and_later_the_remainder() {
    let mut desk = Desk::with_channel(19_999, 5_000);
    // 19,999 base units pay for 999 nc at 20 each.
    assert_eq!(moved(&mut desk, 2_000), 999);
    assert_eq!(desk.state().balance_aic, 19);
    desk.deposit(1_000);
    assert_eq!(moved(&mut desk, 2_000), 50);
    assert_eq!((desk.state().settled_nc, desk.state().balance_aic), (1_049, 19));
}

#[test]
fn a_claim_must_exceed_what_is_settled_and_a_nonce_never_falls() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    desk.settle(1_000, 7).unwrap();
    assert_refused(desk.settle(1_000, 7), SettleError::StaleClaim);
    assert_refused(desk.settle(999, 8), SettleError::StaleClaim);
    assert_refused(desk.settle(1_001, 6), SettleError::StaleNonce);
    desk.settle(1_001, 7).unwrap();
    assert_eq!(desk.state().settled_nc, 1_001);
}

#[test]
fn only_the_channels_gateway_settles_by_grant() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    let other = key("other gateway");
    let settle = swap(desk.settle_delegated_ix(100, 1), desk.net.gateway.pubkey(), other.pubkey());
    assert_refused(desk.send(&[settle], &[&other]), SettleError::Unauthorized);
}

#[test]
fn a_grant_ends_at_its_expiry() {
    let mut desk = Desk::with_channel(100_000, 0);
    assert_refused(desk.settle(100, 1), SettleError::Inactive);
    let terms = GrantTerms { expires: desk.now() + 100, ..desk.terms(5_000) };
    desk.send(&[desk.set_delegate_ix(terms)], &[&desk.consumer()]).unwrap();
    desk.advance(99);
    desk.settle(100, 1).unwrap();
    desk.advance(1);
    assert_refused(desk.settle(200, 2), SettleError::Inactive);
}

#[test]
fn a_revoked_grant_settles_served_work_for_an_hour() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    let revoke = desk.revoke_delegate_ix();
    desk.measure("revoke_delegate", "first", revoke, &[&desk.consumer()]);
    desk.advance(HOUR - 1);
    desk.settle(100, 1).unwrap();
    // Revoking again does not extend it.
    desk.send(&[desk.revoke_delegate_ix()], &[&desk.consumer()]).unwrap();
    desk.advance(1);
    assert_refused(desk.settle(200, 2), SettleError::Inactive);
}

#[test]
fn a_new_grant_starts_a_new_period_at_once() {
    let mut desk = hourly();
    assert_eq!(moved(&mut desk, 800), 800);
    desk.advance(600);
    let terms = GrantTerms { limit_nc: 500, period_s: 3_600, ..desk.terms(500) };
    let grant = desk.set_delegate_ix(terms);
    desk.measure("set_delegate", "replace", grant, &[&desk.consumer()]);
    assert_eq!((desk.state().grant.used_nc, desk.state().grant.period_start), (0, desk.now()));
    assert_eq!(moved(&mut desk, 9_000), 500);
}

#[test]
fn only_the_consumer_grants_and_revokes() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    let other = key("mallory");
    let consumer = desk.consumer.pubkey();
    for ix in [desk.set_delegate_ix(desk.terms(1)), desk.revoke_delegate_ix(), desk.request_close_ix()] {
        let forged = swap(ix, consumer, other.pubkey());
        assert_refused(desk.send(&[forged], &[&other]), SettleError::Unauthorized);
    }
}

#[test]
fn impossible_terms_are_refused() {
    let mut desk = Desk::with_channel(0, 0);
    let good = desk.terms(1_000);
    let year = 366 * 86_400;
    for terms in [
        GrantTerms { limit_nc: 0, ..good },
        GrantTerms { period_s: 3_599, ..good },
        GrantTerms { period_s: 2_678_401, ..good },
        GrantTerms { expires: desk.now(), ..good },
        GrantTerms { expires: desk.now() + year + 1, ..good },
    ] {
        assert_refused(desk.send(&[desk.set_delegate_ix(terms)], &[&desk.consumer()]), SettleError::InvalidGrant);
    }
    for terms in [
        GrantTerms { period_s: 3_600, expires: desk.now() + 1, ..good },
        GrantTerms { period_s: 2_678_400, expires: desk.now() + year, referrer: Pubkey::new_unique(), ..good },
    ] {
        desk.send(&[desk.set_delegate_ix(terms)], &[&desk.consumer()]).unwrap();
    }
}

#[test]
fn no_window_moves_more_than_its_bound() {
    let mut desk = hourly();
    let mut moves = vec![];
    for step in 0..40i64 {
        // Irregular steps, so that windows begin and end everywhere in a period.
        desk.advance(137 + step * step % 911);
        let delta = moved(&mut desk, 1_000_000);
        moves.push((desk.now(), delta));
    }
    assert!(moves.iter().map(|(_, delta)| delta).sum::<u64>() > 3_000);
    for (i, (from, _)) in moves.iter().enumerate() {
        let mut sum = 0;
        for (to, delta) in &moves[i..] {
            sum += delta;
            let periods = u64::try_from((to - from) / HOUR).unwrap();
            assert!(sum <= 1_000 * (periods + 2));
        }
    }
}

#[test]
fn both_modes_share_one_running_claim_and_one_nonce() {
    let mut desk = Desk::with_channel(1_000_000, 5_000);
    desk.settle(1_000, 3).unwrap();
    let voucher = desk.voucher(4, 1_500, 2_000);
    desk.settle_voucher(&voucher, 1_500, false).unwrap();
    assert_eq!(desk.state().grant.used_nc, 1_000, "a voucher uses nothing of the grant");
    assert_refused(desk.settle(1_400, 5), SettleError::StaleClaim);
    assert_refused(desk.settle(1_600, 3), SettleError::StaleNonce);
    desk.settle(1_600, 5).unwrap();
    assert_refused(desk.settle_voucher(&voucher, 2_000, true), SettleError::StaleNonce);
    assert_eq!(desk.state().settled_nc, 1_600);
}

#[test]
fn s04_each_vault_belongs_to_its_channel_and_gateway() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    let settle = desk.settle_delegated_ix(1_000, 1);
    let mallory = key("mallory").pubkey();
    let mine = desk.net.world.aic_account(&mallory);
    for vault in [desk.channel_token(), desk.gateway_token()] {
        let forged = swap(settle.clone(), vault, mine);
        assert_refused(desk.send(&[forged], &[&desk.gateway()]), SettleError::AccountMismatch);
    }
    // A vault record that this program did not write.
    let forged = desk.net.world.forge(&desk.gateway_vault(), Some(mallory));
    let settle = swap(settle, desk.gateway_vault(), forged);
    assert!(desk.send(&[settle], &[&desk.gateway()]).is_err());
}

#[test]
fn s24_a_stale_or_foreign_rate_settles_nothing() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    let rate = coin::seeds::find_rate().0;
    let forged = desk.net.world.forge(&rate, Some(Pubkey::new_unique()));
    let settle = swap(desk.settle_delegated_ix(1_000, 1), rate, forged);
    assert_refused(desk.send(&[settle], &[&desk.gateway()]), anchor_lang::error::ErrorCode::AccountOwnedByWrongProgram);
    desk.advance(3 * 86_400);
    assert!(desk.settle(1_000, 1).is_err());
    desk.net.world.refresh_rate();
    desk.settle(1_000, 1).unwrap();
}
