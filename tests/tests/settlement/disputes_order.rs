//! D5: leaves of one epoch that cannot both be honest, and two honest ones that are accused.

use anchor_lang::{error::ErrorCode, prelude::Pubkey};
use settlement::{
    error::SettleError,
    instructions::{ProveDisputeArgs, ProveOrderArgs},
    state::{Batch, DisputeKind, DisputeState},
};
use solana_signer::Signer;
use waybill_chain::ix::dispute as ix;
use waybill_mechanism::merkle;
use waybill_tests::{
    Refused, Sent, assert_refused,
    ix::{swap, unsigned},
    key,
};

use crate::{court::*, desk::*};

const KIND: DisputeKind = DisputeKind::OrderFault;

/// A leaf of a shard as the challenger shows it.
fn leaf(book: &Book, shard: &Shard, index: usize) -> ProveDisputeArgs {
    ProveDisputeArgs {
        index: u32::try_from(index).unwrap(),
        receipt: book.receipts[index].to_bytes(),
        proof: shard.receipts.proof(index).unwrap().iter().map(merkle::Node::to_bytes).collect(),
    }
}

fn show(court: &mut Court, accused: u32, index: usize) -> Result<Sent, Refused> {
    let (batch, challenger) = (court.batch(), court.challenger.insecure_clone());
    let args = leaf(&court.book, &court.shard, index);
    let show = ix::prove_dispute(challenger.pubkey(), batch, batch, court.dispute(KIND, accused), args);
    court.desk.send(&[show], &[&challenger])
}

fn prove(court: &mut Court, accused: usize, other: usize) -> Result<Sent, Refused> {
    let challenger = court.challenger.insecure_clone();
    let args = ProveOrderArgs {
        receipt: court.book.receipts[accused].to_bytes(),
        other: court.book.receipts[other].to_bytes(),
        other_batch: court.batch(),
        other_index: u32::try_from(other).unwrap(),
    };
    let dispute = court.dispute(KIND, u32::try_from(accused).unwrap());
    court.desk.send(&[ix::prove_order(challenger.pubkey(), dispute, args)], &[&challenger])
}

/// Accuses receipt `accused` of line 0 and argues with `other`.
fn accuse(court: &mut Court, accused: usize, other: usize) -> Result<Sent, Refused> {
    let index = u32::try_from(accused).unwrap();
    court.open(KIND, index, 0).unwrap();
    show(court, index, accused).unwrap();
    show(court, index, other).unwrap();
    prove(court, accused, other)
}

#[test]
fn d5_a_receipt_that_is_twice_in_the_tree_voids_its_line() {
    let mut court = Court::after(&[&[500, 300, 200]], |book| {
        // The third receipt repeats the second's place in the sequence.
        book.receipts[2].seq = 1;
    });
    accuse(&mut court, 1, 2).unwrap();
    assert_eq!(court.dispute_state(KIND, 1).state, DisputeState::Proven);
    // A proof counts at once.
    let sent = court.resolve(KIND, 1, true).unwrap();
    let event = resolved(&sent);
    assert_eq!((event.upheld, event.penalty_aic, event.forfeited_nc), (true, PENALTY, 1_000));
    assert_eq!(court.challenger_aic(), PURSE + PENALTY * 4 / 10);
    assert_eq!(court.gateway_stake(), STAKE - PENALTY);
    court.finalize().unwrap();
    assert_refused(court.desk.claim(&court.shard, 0), SettleError::AlreadyClaimed);
}

#[test]
fn d5_honest_neighbours_cost_the_challenger_its_bond() {
    let mut court = Court::honest(&[&[500, 300, 200]]);
    let before = court.gateway_aic();
    assert_refused(accuse(&mut court, 0, 1), SettleError::NoFault);
    // It is the challenger's turn, so silence clears the gateway.
    assert_refused(court.resolve(KIND, 0, false), SettleError::DisputePending);
    court.desk.advance(RESPONSE_S);
    assert_refused(prove(&mut court, 0, 1), SettleError::DisputeOver);
    assert!(!resolved(&court.resolve(KIND, 0, false).unwrap()).upheld);
    court.assert_bond_lost(before);
    court.finalize().unwrap();
    court.desk.claim(&court.shard, 0).unwrap();
}

#[test]
fn d5_every_break_between_neighbours_is_a_fault() {
    type Cook = fn(&mut Book);
    let cooks: [(&str, Cook); 4] = [
        ("a running total that skips an amount", |book| book.receipts[1].cum_nc += 1),
        ("a gap in the sequence", |book| book.receipts[1].seq = 2),
        ("receipts in the wrong order", |book| book.receipts.swap(0, 1)),
        ("line keys in the wrong order", |book| book.receipts[0].line_key = [255; 32]),
    ];
    for (what, cook) in cooks {
        let mut court = Court::after(&[&[50, 50, 50]], cook);
        assert!(accuse(&mut court, 0, 1).is_ok(), "{what}");
        // The dispute may name either of the two.
        let mut court = Court::after(&[&[50, 50, 50]], cook);
        assert!(accuse(&mut court, 1, 0).is_ok(), "{what}, named by the second");
    }
    // Not neighbours, and not the same place in the sequence: no fault.
    let mut court = Court::honest(&[&[50, 50, 50]]);
    assert_refused(accuse(&mut court, 0, 2), SettleError::NoFault);
    // A leaf does not contradict itself.
    let mut court = Court::honest(&[&[50, 50, 50]]);
    assert_refused(accuse(&mut court, 1, 1), SettleError::NoFault);
}

/// Posts a second shard of the same epoch with the first line's receipts once more.
fn second_shard(court: &mut Court) -> (Book, Shard) {
    let epoch = court.shard.epoch;
    let book = Book { receipts: court.book.receipts.clone(), lines: court.book.lines.clone() };
    let shard = book.shard(epoch, 1);
    court.desk.post(&shard).unwrap();
    (book, shard)
}

#[test]
fn d5_the_same_receipt_in_two_shards_is_a_fault() {
    let mut court = Court::honest(&[&[500, 300, 200]]);
    let (book, shard) = second_shard(&mut court);
    let challenger = court.challenger.insecure_clone();
    court.open(KIND, 1, 0).unwrap();
    show(&mut court, 1, 1).unwrap();
    let (target, other) = (court.batch(), court.desk.batch_of(&shard));
    let dispute = court.dispute(KIND, 1);
    let show = ix::prove_dispute(challenger.pubkey(), target, other, dispute, leaf(&book, &shard, 1));
    // A batch of another gateway or epoch contradicts nothing.
    for change in [|batch: &mut Batch| batch.gateway = Pubkey::new_unique(), |batch: &mut Batch| batch.epoch += 1] {
        let forged = court.desk.net.world.forge(&other, None);
        court.desk.rewrite(forged, change);
        let elsewhere = swap(show.clone(), other, forged);
        assert_refused(court.desk.net.world.send(&[elsewhere], &[&challenger]), SettleError::AccountMismatch);
    }
    court.desk.net.world.must(&[show], &[&challenger]);
    let args = |other_batch, other_index| ProveOrderArgs {
        receipt: court.book.receipts[1].to_bytes(),
        other: book.receipts[1].to_bytes(),
        other_batch,
        other_index,
    };
    let prove = |batch, index| ix::prove_order(challenger.pubkey(), dispute, args(batch, index));
    let (elsewhere, right) = (prove(other, 0), prove(other, 1));
    assert_refused(court.desk.net.world.send(&[elsewhere], &[&challenger]), SettleError::NoFault);
    court.desk.net.world.must(&[right], &[&challenger]);
    let resolve = court.resolve_ix(KIND, 1, true);
    assert!(resolved(&court.desk.net.world.must(&[resolve], &[])).upheld);
}

#[test]
fn the_challenger_alone_argues_and_in_order() {
    let mut court = Court::honest(&[&[500, 300, 200]]);
    let (challenger, mallory) = (court.challenger.insecure_clone(), key("mallory"));
    court.open(KIND, 1, 0).unwrap();
    // Nothing to prove before both leaves are on the table.
    assert_refused(prove(&mut court, 1, 2), SettleError::DisputeState);
    assert_refused(show(&mut court, 1, 2), SettleError::NoFault);
    let (batch, dispute) = (court.batch(), court.dispute(KIND, 1));
    let args = leaf(&court.book, &court.shard, 1);
    let showing = ix::prove_dispute(challenger.pubkey(), batch, batch, dispute, args.clone());
    let forged = swap(showing.clone(), challenger.pubkey(), mallory.pubkey());
    assert_refused(court.desk.send(&[forged], &[&mallory]), SettleError::NotTheChallenger);
    assert_refused(
        court.desk.send(&[unsigned(showing.clone(), challenger.pubkey())], &[]),
        ErrorCode::AccountNotSigner,
    );
    let mut wrong = args.clone();
    wrong.receipt[319] ^= 1;
    let wrong = ix::prove_dispute(challenger.pubkey(), batch, batch, dispute, wrong);
    assert_refused(court.desk.send(&[wrong], &[&challenger]), SettleError::InvalidProof);
    let mut malformed = args;
    malformed.receipt[0] ^= 1;
    let malformed = ix::prove_dispute(challenger.pubkey(), batch, batch, dispute, malformed);
    assert_refused(court.desk.send(&[malformed], &[&challenger]), SettleError::MalformedMessage);
    let copy = court.desk.net.world.forge(&batch, None);
    let elsewhere = ix::prove_dispute(challenger.pubkey(), copy, batch, dispute, leaf(&court.book, &court.shard, 1));
    assert_refused(court.desk.net.world.send(&[elsewhere], &[&challenger]), SettleError::AccountMismatch);
    court.desk.net.world.must(&[showing], &[&challenger]);
}

#[test]
fn two_leaves_are_all_that_is_shown() {
    let mut court = Court::honest(&[&[500, 300, 200]]);
    court.open(KIND, 1, 0).unwrap();
    show(&mut court, 1, 1).unwrap();
    show(&mut court, 1, 2).unwrap();
    assert_refused(show(&mut court, 1, 0), SettleError::DisputeState);
    // Others than were shown prove nothing.
    assert_refused(prove(&mut court, 1, 0), SettleError::NoFault);
    let mallory = key("mallory");
    let challenger = court.challenger.insecure_clone();
    let args = ProveOrderArgs {
        receipt: court.book.receipts[1].to_bytes(),
        other: court.book.receipts[2].to_bytes(),
        other_batch: court.batch(),
        other_index: 2,
    };
    let proof = ix::prove_order(challenger.pubkey(), court.dispute(KIND, 1), args);
    let forged = swap(proof, challenger.pubkey(), mallory.pubkey());
    assert_refused(court.desk.send(&[forged], &[&mallory]), SettleError::NotTheChallenger);
}

#[test]
fn the_proof_of_two_receipts_fits_its_transaction() {
    let mut court = Court::after(&[&[500, 300]], |book| book.receipts[1].cum_nc += 1);
    let challenger = court.challenger.insecure_clone();
    court.open(KIND, 0, 0).unwrap();
    let (batch, dispute) = (court.batch(), court.dispute(KIND, 0));
    let first = ix::prove_dispute(challenger.pubkey(), batch, batch, dispute, leaf(&court.book, &court.shard, 0));
    court.desk.measure("prove_dispute", "depth 1", first, &[&challenger]);
    show(&mut court, 0, 1).unwrap();
    let args = ProveOrderArgs {
        receipt: court.book.receipts[0].to_bytes(),
        other: court.book.receipts[1].to_bytes(),
        other_batch: batch,
        other_index: 1,
    };
    let proof = ix::prove_order(challenger.pubkey(), dispute, args);
    let message = solana_message::Message::new(std::slice::from_ref(&proof), Some(&court.desk.payer()));
    assert!(1 + 128 + message.serialize().len() <= 1_232);
    court.desk.measure("prove_order", "neighbours", proof, &[&challenger]);
}
