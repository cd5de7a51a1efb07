//! D9: a receipt that costs more than the frozen snapshot allows, or names a referrer whom the consumer never granted.

use anchor_lang::prelude::Pubkey;
use market::state::SplitSnapshot;
use settlement::{
    error::SettleError,
    instructions::{ProveDisputeArgs, ProvePriceArgs},
    state::{Channel, DisputeKind, DisputeState},
};
use solana_signer::Signer;
use waybill_chain::ix::dispute as ix;
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle,
    message::{Order, flags},
};
use waybill_tests::{Refused, Sent, assert_refused, ix::swap, key};

use crate::{court::*, desk::*};

const KIND: DisputeKind = DisputeKind::PriceFault;

fn order(court: &Court, nonce: u64) -> Order {
    Order {
        domain: court.book.receipts[0].domain,
        channel: court.desk.channel().to_bytes(),
        nonce,
        max_price_nc: 1_000,
        ctx_hash: [5; 32],
    }
}

/// One line, whose receipts serve an order under the grant.
fn delegated(prices: &[&[u64]], change: impl FnOnce(&mut Book)) -> Court {
    let mut desk = Desk::collected(1_000_000);
    let epoch = desk.epoch();
    let mut book = Book::honest(&desk, epoch, prices);
    let court_order = Order {
        domain: book.receipts[0].domain,
        channel: desk.channel().to_bytes(),
        nonce: 1,
        max_price_nc: 1_000,
        ctx_hash: [5; 32],
    };
    for receipt in &mut book.receipts {
        receipt.request_hash = court_order.hash();
        receipt.flags = flags::DELEGATED;
        // In the middle of the epoch's second half, long after the grant.
        let end_ms = (u64::from(epoch) * EPOCH_S.unsigned_abs() + 3_500) * 1_000;
        (receipt.t_start_ms, receipt.t_end_ms) = (end_ms - 500, end_ms);
    }
    change(&mut book);
    let shard = book.shard(epoch, 0);
    let challenger = key("challenger");
    desk.net.world.fund(&challenger.pubkey(), PURSE);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    Court { desk, book, shard, challenger }
}

fn show(court: &mut Court, index: usize) -> Result<Sent, Refused> {
    show_in(court, u32::try_from(index).unwrap(), index)
}

/// Shows leaf `index` in the dispute about receipt `accused`.
fn show_in(court: &mut Court, accused: u32, index: usize) -> Result<Sent, Refused> {
    let (batch, challenger) = (court.batch(), court.challenger.insecure_clone());
    let args = ProveDisputeArgs {
        index: u32::try_from(index).unwrap(),
        receipt: court.book.receipts[index].to_bytes(),
        proof: court.shard.receipts.proof(index).unwrap().iter().map(merkle::Node::to_bytes).collect(),
    };
    let dispute = court.dispute(KIND, accused);
    court.desk.send(&[ix::prove_dispute(challenger.pubkey(), batch, batch, dispute, args)], &[&challenger])
}

fn snapshot(court: &Court) -> Pubkey {
    market::seeds::find_snapshot(&court.desk.net.container, 0, pricing_epoch(court.shard.epoch)).0
}

fn args(court: &Court, index: usize, order: Option<Order>) -> ProvePriceArgs {
    let receipt = &court.book.receipts[index];
    let line = court.shard.lines.iter().find(|line| line.key() == receipt.line_key).unwrap();
    ProvePriceArgs { receipt: receipt.to_bytes(), referrer: line.referrer, order: order.map(|order| order.to_bytes()) }
}

fn prove_ix(
    court: &Court,
    index: usize,
    args: ProvePriceArgs,
) -> anchor_lang::solana_program::instruction::Instruction {
    let channel = args.order.map(|_| court.desk.channel());
    let dispute = court.dispute(KIND, u32::try_from(index).unwrap());
    ix::prove_price(court.challenger.pubkey(), court.batch(), snapshot(court), channel, dispute, args)
}

fn prove(court: &mut Court, index: usize, args: ProvePriceArgs) -> Result<Sent, Refused> {
    let proof = prove_ix(court, index, args);
    let challenger = court.challenger.insecure_clone();
    court.desk.send(&[proof], &[&challenger])
}

/// Opens D9 against receipt `index` of line 0 and shows the leaf.
fn accused(court: &mut Court, index: usize) {
    let at = u32::try_from(index).unwrap();
    court.open(KIND, at, 0).unwrap();
    show(court, index).unwrap();
}

#[test]
fn d9_an_overcharged_consumer_gets_the_difference_from_the_gateways_stake() {
    // 10 BU at 21,690 nc per 1,000 cost 217 nc; the second receipt charges 300.
    let mut court = delegated(&[&[500, 300]], |book| (book.receipts[1].units_in, book.receipts[1].units_out) = (4, 6));
    accused(&mut court, 1);
    let proof = args(&court, 1, Some(order(&court, 1)));
    let challenger = court.challenger.insecure_clone();
    let built = prove_ix(&court, 1, proof);
    court.desk.measure("prove_price", "with order", built, &[&challenger]);
    assert_eq!(court.dispute_state(KIND, 1).state, DisputeState::Proven);
    let consumer = court.desk.net.world.aic_account(&court.desk.consumer.pubkey());
    let before = court.desk.token(&consumer);
    let harmed = ix::Outcome { harmed: consumer, ..court.outcome(KIND, 1, true) };
    // Nobody else stands in for a known consumer.
    assert_refused(court.resolve(KIND, 1, true), SettleError::TokenMismatch);
    let sent = court.desk.send(&[ix::resolve_dispute(&harmed)], &[]).unwrap();
    let event = resolved(&sent);
    assert_eq!((event.restitution_aic, event.penalty_aic, event.forfeited_nc), ((300 - 217) * AIC_PER_NC, PENALTY, 0));
    assert_eq!(court.desk.token(&consumer) - before, 83 * AIC_PER_NC + PENALTY * 3 / 10);
    assert_eq!(court.challenger_aic(), PURSE + PENALTY * 4 / 10);
    assert_eq!(court.gateway_stake(), STAKE - PENALTY - 83 * AIC_PER_NC);
    // The line itself stays payable: the worker did the work.
    court.finalize().unwrap();
    court.desk.claim(&court.shard, 0).unwrap();
}

#[test]
fn d9_without_an_order_the_insurance_stands_in() {
    let mut court = Court::after(&[&[500, 300]], |book| book.receipts[0].units_out = 0);
    accused(&mut court, 0);
    let proof = args(&court, 0, None);
    prove(&mut court, 0, proof).unwrap();
    let insurance = court.insurance_aic();
    let event = resolved(&court.resolve(KIND, 0, true).unwrap());
    // One unit is 22 nc, rounded up.
    assert_eq!(event.restitution_aic, (500 - 22) * AIC_PER_NC);
    assert_eq!(court.insurance_aic() - insurance, event.restitution_aic + PENALTY * 3 / 10);
}

#[test]
fn d9_a_fair_price_costs_the_challenger_its_bond() {
    let mut court = delegated(&[&[500, 300]], |_| {});
    let before = court.gateway_aic();
    accused(&mut court, 0);
    for shown in [None, Some(order(&court, 1))] {
        let proof = args(&court, 0, shown);
        assert_refused(prove(&mut court, 0, proof), SettleError::NoFault);
    }
    court.desk.advance(RESPONSE_S);
    assert!(!resolved(&court.resolve(KIND, 0, false).unwrap()).upheld);
    court.assert_bond_lost(before);
}

#[test]
fn d9_a_referrer_nobody_granted_is_a_fault() {
    // The second line names a referrer; the channel's grant names none.
    let mut court = delegated(&[&[500], &[400]], |_| {});
    let line = court.shard.lines.iter().position(|line| line.referrer != [0; 32]).unwrap();
    let (index, at) = (line, u32::try_from(line).unwrap());
    court.open(KIND, at, line).unwrap();
    show(&mut court, index).unwrap();
    // The price alone is fair, and without the order nobody knows the grant.
    let proof = args(&court, index, None);
    assert_refused(prove(&mut court, index, proof), SettleError::NoFault);
    // A grant that names the referrer clears the gateway, and so does one that is too new.
    let (channel, referrer) = (court.desk.channel(), Pubkey::new_from_array(court.shard.lines[line].referrer));
    let proof = args(&court, index, Some(order(&court, 1)));
    court.desk.rewrite(channel, |channel: &mut Channel| channel.grant.referrer = referrer);
    assert_refused(prove(&mut court, index, proof.clone()), SettleError::NoFault);
    court.desk.rewrite(channel, |channel: &mut Channel| channel.grant.referrer = Pubkey::default());
    let granted_at = court.desk.state().granted_at;
    let served_s = i64::try_from(court.book.receipts[index].t_start_ms / 1_000).unwrap();
    court.desk.rewrite(channel, |channel: &mut Channel| channel.granted_at = served_s - 599);
    assert_refused(prove(&mut court, index, proof.clone()), SettleError::NoFault);
    court.desk.rewrite(channel, |channel: &mut Channel| channel.granted_at = granted_at.min(served_s - 600));
    prove(&mut court, index, proof).unwrap();
    let consumer = court.desk.net.world.aic_account(&court.desk.consumer.pubkey());
    let harmed = ix::Outcome { harmed: consumer, ..court.outcome(KIND, at, true) };
    let event = resolved(&court.desk.send(&[ix::resolve_dispute(&harmed)], &[]).unwrap());
    assert_eq!((event.restitution_aic, event.penalty_aic), (0, PENALTY));
}

#[test]
fn d9_a_receipt_that_no_grant_paid_may_name_any_referrer() {
    let mut court = delegated(&[&[500], &[400]], |book| book.receipts.iter_mut().for_each(|receipt| receipt.flags = 0));
    let line = court.shard.lines.iter().position(|line| line.referrer != [0; 32]).unwrap();
    court.open(KIND, u32::try_from(line).unwrap(), line).unwrap();
    show(&mut court, line).unwrap();
    let proof = args(&court, line, Some(order(&court, 1)));
    assert_refused(prove(&mut court, line, proof), SettleError::NoFault);
}

#[test]
fn the_proof_must_fit_the_receipt_its_snapshot_and_its_order() {
    let mut court = delegated(&[&[500, 300]], |book| book.receipts[1].units_out = 0);
    let challenger = court.challenger.insecure_clone();
    court.open(KIND, 1, 0).unwrap();
    let good = args(&court, 1, Some(order(&court, 1)));
    // Not before the leaf is shown, and not another leaf than the accused.
    assert_refused(prove(&mut court, 1, good.clone()), SettleError::DisputeState);
    assert_refused(show_in(&mut court, 1, 0), SettleError::NoFault);
    show(&mut court, 1).unwrap();
    assert_refused(show(&mut court, 1), SettleError::DisputeState);
    let other_receipt = ProvePriceArgs { receipt: court.book.receipts[0].to_bytes(), ..good.clone() };
    assert_refused(prove(&mut court, 1, other_receipt), SettleError::NoFault);
    let other_referrer = ProvePriceArgs { referrer: [7; 32], ..good.clone() };
    assert_refused(prove(&mut court, 1, other_referrer), SettleError::SnapshotMismatch);
    let other_order = args(&court, 1, Some(order(&court, 2)));
    assert_refused(prove(&mut court, 1, other_order), SettleError::AccountMismatch);
    // An order without its channel, and a channel without its order.
    let mut bare = prove_ix(&court, 1, good.clone());
    bare.accounts[4].pubkey = settlement::ID;
    assert_refused(court.desk.send(&[bare], &[&challenger]), SettleError::AccountMismatch);
    let mut needless = prove_ix(&court, 1, args(&court, 1, None));
    needless.accounts[4].pubkey = court.desk.channel();
    assert_refused(court.desk.send(&[needless], &[&challenger]), SettleError::AccountMismatch);
    // The channel of another gateway, and a snapshot of another stage or time.
    let channel = court.desk.channel();
    let gateway = court.desk.net.gateway.pubkey();
    court.desk.rewrite(channel, |channel: &mut Channel| channel.gateway = Pubkey::new_unique());
    assert_refused(prove(&mut court, 1, good.clone()), SettleError::AccountMismatch);
    court.desk.rewrite(channel, |channel: &mut Channel| channel.gateway = gateway);
    let changes: [fn(&mut SplitSnapshot); 3] = [|s| s.stage = 1, |s| s.pricing_epoch += 1, |s| s.container[0] ^= 1];
    for change in changes {
        let address = snapshot(&court);
        let before = court.desk.net.world.svm.get_account(&address).unwrap();
        court.desk.rewrite(address, change);
        assert_refused(prove(&mut court, 1, good.clone()), SettleError::SnapshotMismatch);
        court.desk.net.world.svm.set_account(address, before).unwrap();
    }
    let mallory = key("mallory");
    let forged = swap(prove_ix(&court, 1, good.clone()), challenger.pubkey(), mallory.pubkey());
    assert_refused(court.desk.send(&[forged], &[&mallory]), SettleError::NotTheChallenger);
    prove(&mut court, 1, good).unwrap();
}
