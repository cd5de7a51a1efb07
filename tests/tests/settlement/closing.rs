//! What a gateway's settlement closes by itself: as soon as the programs let it, never in vain, and in favour of whoever
//! paid the rent.

use anchor_lang::{AccountSerialize, Owner, Space, prelude::Pubkey, solana_program::instruction::Instruction};
use market::{
    constants::{KEEP_S, ROYALTIES_KEEP_S, TICKET_S},
    seeds::{find_observation, find_royalties, find_snapshot, find_ticket},
    state::{MarketConfig, Observation, Royalties, SlashTicket, SplitSnapshot},
};
use settlement::{
    error::SettleError,
    state::{Audit, Batch, BatchState, Dispute, DisputeKind, DisputeState, GatewayVault, SettleConfig, StagedReceipt},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::{
    closing::{Moment, Rented},
    ix,
};
use waybill_mechanism::message::NO_REFERRER;
use waybill_tests::assert_refused;

use crate::desk::*;

const DAY: i64 = 86_400;

/// An account of zeros whose rent somebody paid.
fn blank<T: Rented>(space: usize) -> T {
    T::try_deserialize_unchecked(&mut vec![0; 8 + space].as_slice()).unwrap()
}

fn day(second: i64) -> u32 {
    u32::try_from(second / DAY).unwrap()
}

/// Whether the crank finds the account to be spent.
fn is_spent<T: Rented>(desk: &Desk, account: &T) -> bool {
    let market: MarketConfig = desk.net.world.read(&market::seeds::find_config().0);
    let settle: SettleConfig = desk.net.world.read(&desk.config());
    account.is_spent(&Moment { now_s: desk.now(), market: &market.params, settle: &settle })
}

/// Puts an account at its address and has it closed: what the crank says, and whether the program agreed.
fn closed<T: Rented + AccountSerialize + Owner>(
    desk: &mut Desk,
    address: Pubkey,
    account: &T,
    close: Instruction,
    signer: Option<&Keypair>,
) -> (bool, bool) {
    let mut data = Vec::new();
    account.try_serialize(&mut data).unwrap();
    desk.net.world.put(address, T::owner(), data);
    let rent = desk.net.world.svm.get_balance(&address).unwrap();
    let said = is_spent(desk, account);
    let before = desk.net.world.svm.get_balance(&desk.payer()).unwrap();
    let signers: Vec<&Keypair> = signer.into_iter().collect();
    let done = desk.send(&[close], &signers).is_ok();
    assert_eq!(desk.net.world.exists(&address), !done);
    if done {
        let fees = 5_000 * (1 + u64::try_from(signers.len()).unwrap());
        assert_eq!(desk.net.world.svm.get_balance(&desk.payer()).unwrap() + fees, before + rent, "{:?}", T::KIND);
    }
    (said, done)
}

#[test]
fn accounts_of_the_market_are_closed_the_moment_they_may_be() {
    let mut desk = Desk::new();
    let (now, payer) = (desk.now(), desk.payer());
    let kept = day(now - KEEP_S);
    for (pricing_epoch, spent) in [(kept, false), (kept - 1, true)] {
        let account = SplitSnapshot { pricing_epoch, rent_payer: payer, ..blank(SplitSnapshot::INIT_SPACE) };
        let close = ix::books::close_snapshot(&account.container, 0, pricing_epoch, payer);
        let address = find_snapshot(&account.container, 0, pricing_epoch).0;
        assert_eq!(closed(&mut desk, address, &account, close, None), (spent, spent), "snapshot of {pricing_epoch}");
    }
    for (slashed_at, spent) in [(now - TICKET_S + 1, false), (now - TICKET_S, true)] {
        let account = SlashTicket { slashed_at, rent_payer: payer, ..blank(SlashTicket::INIT_SPACE) };
        let close = ix::books::close_ticket(&account.party, account.epoch, payer);
        let address = find_ticket(&account.party, account.epoch).0;
        assert_eq!(closed(&mut desk, address, &account, close, None), (spent, spent), "ticket of {slashed_at}");
    }
    let over = day(now - ROYALTIES_KEEP_S) - 1;
    for (pricing_epoch, spent) in [(over + 1, false), (over, true)] {
        let account = Royalties { pricing_epoch, rent_payer: payer, ..blank(Royalties::INIT_SPACE) };
        let address = find_royalties(&account.artifact, pricing_epoch).0;
        desk.open_earnings(&address);
        let pot = desk.net.world.svm.get_balance(&desk.earnings(&address)).unwrap();
        let close = ix::lineage::close_royalties(address, payer, payer);
        let before = desk.net.world.svm.get_balance(&payer).unwrap();
        let mut data = Vec::new();
        account.try_serialize(&mut data).unwrap();
        desk.net.world.put(address, market::ID, data);
        let rent = desk.net.world.svm.get_balance(&address).unwrap();
        assert_eq!((is_spent(&desk, &account), desk.send(&[close], &[]).is_ok()), (spent, spent), "{pricing_epoch}");
        let returned = if spent { rent + pot } else { 0 };
        assert_eq!(desk.net.world.svm.get_balance(&payer).unwrap() + 5_000, before + returned, "table and earnings");
    }
}

#[test]
fn what_a_gateway_uses_again_or_others_prove_against_is_kept_longer_than_the_programs_ask() {
    let mut desk = Desk::new();
    let (now, payer, gateway) = (desk.now(), desk.payer(), desk.gateway());
    let today = day(now);
    let market = market::seeds::find_market(1).0;
    // The programs close an observation from the next day on; it is not spent before a week without another report.
    for (pricing_epoch, said) in [(today - 7, false), (today - 8, true)] {
        let account = Observation {
            pricing_epoch,
            market,
            gateway: gateway.pubkey(),
            rent_payer: payer,
            ..blank(Observation::INIT_SPACE)
        };
        let close = ix::books::close_observation(&market, &gateway.pubkey(), payer);
        let address = find_observation(&market, &gateway.pubkey()).0;
        assert_eq!(closed(&mut desk, address, &account, close, None), (said, true));
    }
    // A staged receipt can still open an audit while its batch can be challenged.
    for (age, said) in [(i64::from(CHALLENGE_S) - 1, false), (i64::from(CHALLENGE_S), true)] {
        let account = StagedReceipt { staged_at: now - age, rent_payer: payer, ..blank(StagedReceipt::INIT_SPACE) };
        let close = ix::audits::unstage_receipt(payer, &account.hash);
        let address = settlement::seeds::find_staged(&account.hash).0;
        assert_eq!(closed(&mut desk, address, &account, close, None), (said, true));
    }
}

#[test]
fn disputes_and_audits_are_closed_when_they_are_over() {
    let mut desk = Desk::new();
    let payer = desk.payer();
    for (state, spent) in [(DisputeState::Answered, false), (DisputeState::Upheld, true)] {
        let account = Dispute { kind: DisputeKind::Overcharge, state, rent_payer: payer, ..blank(Dispute::INIT_SPACE) };
        let address = ix::dispute::overcharge_dispute(&account.target, 1);
        let close = ix::dispute::close_dispute(address, account.target, payer);
        assert_eq!(closed(&mut desk, address, &account, close, None), (spent, spent), "{state:?}");
    }
    // An audit that nothing follows from ends at once, another one with its grace.
    let grace = 4 * 12 * 3_600;
    let cases = [
        (false, true, grace, false),
        (true, true, 0, true),
        (true, false, grace - 1, false),
        (true, false, grace, true),
    ];
    for (settled, line_done, age, spent) in cases {
        let deadline = desk.now() - age;
        let account = Audit { settled, line_done, deadline, rent_payer: payer, ..blank(Audit::INIT_SPACE) };
        let address = settlement::seeds::find_audit(&account.batch, 0).0;
        let close = ix::audits::close_audit(address, &account);
        assert_eq!(closed(&mut desk, address, &account, close, None), (spent, spent), "{settled} {line_done} {age}");
    }
}

#[test]
fn a_swept_batch_is_kept_as_long_as_the_prices_it_was_settled_at_and_then_shuts_its_epoch() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NO_REFERRER);
    let address = desk.batch_of(&shard);
    let gateway = desk.gateway();
    desk.claim(&shard, 0).unwrap();
    let close = ix::settlement::close_batch(gateway.pubkey(), shard.epoch, shard.shard, desk.payer());
    assert!(!is_spent(&desk, &desk.net.world.read::<Batch>(&address)), "claimed, not swept");
    assert_refused(desk.send(std::slice::from_ref(&close), &[&gateway]), SettleError::BatchState);
    desk.send(&[desk.sweep_batch_ix(address)], &[]).unwrap();
    let batch: Batch = desk.net.world.read(&address);
    assert_eq!(batch.state, BatchState::Swept);
    desk.advance(batch.final_at + KEEP_S - 1 - desk.now());
    assert!(!is_spent(&desk, &batch));
    desk.advance(1);
    assert!(is_spent(&desk, &batch));
    let (rent, payer) = (desk.net.world.svm.get_balance(&address).unwrap(), desk.payer());
    let before = desk.net.world.svm.get_balance(&payer).unwrap();
    desk.send(&[close], &[&gateway]).unwrap();
    assert_eq!(desk.net.world.svm.get_balance(&payer).unwrap() + 10_000, before + rent);
    let vault: GatewayVault = desk.net.world.read(&ix::settlement::gateway_vault(&gateway.pubkey()).0);
    assert_eq!(vault.first_open_epoch, shard.epoch + 1);
}
