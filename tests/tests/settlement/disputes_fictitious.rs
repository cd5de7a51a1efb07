//! D3 and D4: a gateway invented a line or a receipt, or is only said to have.

use anchor_lang::{error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use coin::authority::pause;
use market::state::Role;
use settlement::{
    error::SettleError,
    events::{BatchSwept, DisputeOpened},
    instructions::OpenDisputeArgs,
    state::{Batch, Dispute, DisputeKind, DisputeState, SettleConfig},
};
use solana_signer::Signer;
use waybill_chain::ix::{aic_account, dispute as ix};
use waybill_mechanism::{
    dispute::{line_owner, staged},
    merkle,
};
use waybill_tests::{
    Refused, Sent, assert_refused,
    ix::{read_only, swap, unsigned},
    key,
};

use crate::{court::*, desk::*};

const LINE: DisputeKind = DisputeKind::OpenLine;
const RECEIPT: DisputeKind = DisputeKind::OpenReceipt;

/// Two lines of three receipts and one of one.
fn honest() -> Court {
    Court::honest(&[&[500, 300, 200], &[70, 20, 10], &[400]])
}

#[test]
fn d3_an_invented_line_is_void_and_the_gateway_slashed() {
    // The second line's receipts are not the worker's: their line key is nobody's.
    let mut court = Court::after(&[&[500, 300], &[900, 100]], |book| {
        let line = &book.lines[1];
        let range = line.first_receipt as usize..(line.first_receipt + line.n_receipts) as usize;
        book.receipts[range].iter_mut().for_each(|receipt| receipt.line_key = [9; 32]);
    });
    let honest_line = 0;
    let open = court.open_ix(LINE, 1, 1);
    let challenger = court.challenger.insecure_clone();
    let sent = court.desk.measure("open_dispute", "depth 1", open, &[&challenger]);
    let [opened] = sent.cpi_events::<DisputeOpened>().try_into().ok().unwrap();
    assert_eq!((opened.bond_aic, opened.amount_nc), (BOND, court.shard.lines[1].credits_nc));
    assert_eq!(opened.deadline, court.desk.now() + RESPONSE_S);
    assert_eq!(court.challenger_aic(), PURSE - BOND);
    let first = court.shard.lines[1].first_receipt as usize;
    assert_refused(court.respond(LINE, 1, first), SettleError::NotAnAnswer);

    // Silence is guilt, from the deadline on.
    court.desk.advance(RESPONSE_S - 1);
    assert_refused(court.resolve(LINE, 1, true), SettleError::DisputePending);
    court.desk.advance(1);
    assert_refused(court.respond(LINE, 1, first), SettleError::DisputeOver);
    let (insurance, supply) = (court.insurance_aic(), court.desk.supply());
    let resolve = court.resolve_ix(LINE, 1, true);
    let sent = court.desk.measure("resolve_dispute", "upheld, line void", resolve, &[]);
    let event = resolved(&sent);
    assert!(event.upheld);
    let credits_nc = court.shard.lines[1].credits_nc;
    assert_eq!((event.penalty_aic, event.restitution_aic, event.forfeited_nc), (PENALTY, 0, credits_nc));
    assert_eq!(court.gateway_stake(), STAKE - PENALTY);
    assert_eq!(court.challenger_aic(), PURSE + PENALTY * 4 / 10, "bond and reporter's part");
    assert_eq!(court.insurance_aic() - insurance, PENALTY * 3 / 10, "nobody in particular was harmed");
    assert_eq!(supply - court.desk.supply(), PENALTY * 3 / 10);
    assert_refused(court.resolve(LINE, 1, true), SettleError::DisputeState);

    // The honest line is paid, the void one never; its AIC ends with the insurance.
    court.finalize().unwrap();
    assert_refused(court.desk.claim(&court.shard, 1), SettleError::AlreadyClaimed);
    court.desk.claim(&court.shard, honest_line).unwrap();
    let sent = court.desk.send(&[court.desk.sweep_batch_ix(court.batch())], &[]).unwrap();
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    assert_eq!(swept.remainder_aic, credits_nc * AIC_PER_NC);
}

#[test]
fn d3_an_honest_line_costs_the_challenger_its_bond() {
    let mut court = honest();
    let before = court.gateway_aic();
    let line = court.shard.lines.iter().position(|line| line.n_receipts == 3).unwrap();
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt as usize);
    court.open(LINE, index, line).unwrap();
    // In order: the first receipt, then the last; nothing between.
    assert_refused(court.respond(LINE, index, first + 2), SettleError::InvalidProof);
    court.respond(LINE, index, first).unwrap();
    assert_eq!(court.dispute_state(LINE, index).state, DisputeState::Open);
    assert_refused(court.respond(LINE, index, first), SettleError::InvalidProof);
    let respond = court.respond_ix(LINE, index, first + 2);
    court.desk.measure("respond_dispute", "last receipt", respond, &[]);
    assert_refused(court.respond(LINE, index, first + 2), SettleError::DisputeState);

    // An answer counts at once.
    let resolve = court.resolve_ix(LINE, index, false);
    let sent = court.desk.measure("resolve_dispute", "dismissed", resolve, &[]);
    assert!(!resolved(&sent).upheld);
    court.assert_bond_lost(before);
    court.finalize().unwrap();
    court.desk.claim(&court.shard, line).unwrap();
}

#[test]
fn d3_a_line_of_one_receipt_takes_one_answer() {
    let mut court = honest();
    let line = court.shard.lines.iter().position(|line| line.n_receipts == 1).unwrap();
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt as usize);
    court.open(LINE, index, line).unwrap();
    court.respond(LINE, index, first).unwrap();
    assert_eq!(court.dispute_state(LINE, index).state, DisputeState::Answered);
}

/// Opens D3 against each line of a cooked book and says whether the gateway could answer.
fn answers(court: &mut Court, line: usize) -> bool {
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt as usize);
    let last = first + court.shard.lines[line].n_receipts as usize - 1;
    court.open(LINE, index, line).unwrap();
    if court.respond(LINE, index, first).is_err() {
        return false;
    }
    match court.respond(LINE, index, last) {
        Ok(_) => true,
        refused => {
            assert_refused(refused, SettleError::NotAnAnswer);
            false
        }
    }
}

#[test]
fn d3_no_cooked_line_can_be_answered() {
    type Cook = fn(&mut Book);
    let cooks: [(&str, Cook); 6] = [
        ("credits moved from one line to the other", |book| {
            book.lines[0].credits_nc += 10;
            book.lines[1].credits_nc -= 10;
        }),
        ("a receipt left out of the sequence", |book| book.receipts[2].seq += 1),
        ("a running total that skips an amount", |book| book.receipts[2].cum_nc += 5),
        ("a last receipt of another line", |book| book.receipts[2].line_key = [8; 32]),
        ("a last receipt of another worker", |book| book.receipts[2].worker = [8; 32]),
        ("a last receipt of another epoch", |book| book.receipts[2].epoch += 1),
    ];
    assert!(answers(&mut Court::honest(&[&[50, 30, 20], &[60, 10, 30]]), 0), "an honest one can");
    for (what, cook) in cooks {
        let mut court = Court::after(&[&[50, 30, 20], &[60, 10, 30]], cook);
        assert!(!answers(&mut court, 0), "{what}");
    }
}

#[test]
fn d4_a_receipt_that_no_worker_signed_is_void_and_the_gateway_slashed() {
    let mut court = honest();
    let line = unreferred(&court);
    let leaf = court.shard.lines[line].first_receipt as usize + 1;
    let index = u32::try_from(leaf).unwrap();
    court.open(RECEIPT, index, line).unwrap();
    // The receipt is in the tree, but there is no signature to stage: only the gateway's own.
    assert_refused(court.respond(RECEIPT, index, leaf), SettleError::NotAnAnswer);
    let (gateway, message) = (court.desk.gateway(), court.book.receipts[leaf].to_bytes());
    let stage = ix::stage_evidence(gateway.pubkey(), court.batch(), court.dispute(RECEIPT, index), [0; 32]);
    let forged = signature_check(&gateway, &message);
    assert_refused(court.desk.send(&[forged, stage], &[&gateway]), SettleError::SignatureCheck);

    court.desk.advance(RESPONSE_S);
    let sent = court.resolve(RECEIPT, index, true).unwrap();
    let event = resolved(&sent);
    assert_eq!((event.upheld, event.penalty_aic), (true, PENALTY));
    assert_eq!(event.forfeited_nc, court.shard.lines[line].credits_nc);
    assert_eq!(court.challenger_aic(), PURSE + PENALTY * 4 / 10);
    court.finalize().unwrap();
    assert_refused(court.desk.claim(&court.shard, line), SettleError::AlreadyClaimed);
}

/// The gateway stages a worker's signature of a receipt of the book.
fn staging(court: &Court, index: u32, leaf: usize, replaces: [u8; 32]) -> [Instruction; 2] {
    let check = signature_check(&court.desk.net.worker, &court.book.receipts[leaf].to_bytes());
    let (gateway, dispute) = (court.desk.net.gateway.pubkey(), court.dispute(RECEIPT, index));
    [check, ix::stage_evidence(gateway, court.batch(), dispute, replaces)]
}

fn stage(court: &mut Court, index: u32, leaf: usize, replaces: [u8; 32]) -> Result<Sent, Refused> {
    let staging = staging(court, index, leaf, replaces);
    court.desk.send(&staging, &[&court.desk.gateway()])
}

#[test]
fn d4_a_signed_receipt_costs_the_challenger_its_bond() {
    let mut court = honest();
    let before = court.gateway_aic();
    let line = unreferred(&court);
    let leaf = court.shard.lines[line].first_receipt as usize + 1;
    let index = u32::try_from(leaf).unwrap();
    court.open(RECEIPT, index, line).unwrap();
    // A receipt staged by mistake can be replaced by the right one.
    stage(&mut court, index, leaf + 1, [0; 32]).unwrap();
    assert_refused(court.respond(RECEIPT, index, leaf), SettleError::NotAnAnswer);
    assert_refused(court.respond(RECEIPT, index, leaf + 1), SettleError::InvalidProof);
    assert_refused(stage(&mut court, index, leaf, [0; 32]), SettleError::NotAnAnswer);
    let wrong = court.book.receipts[leaf + 1].hash();
    let staging = staging(&court, index, leaf, wrong);
    court.desk.measure_all("stage_evidence", "another receipt", &staging, &[&court.desk.gateway()]);
    court.respond(RECEIPT, index, leaf).unwrap();
    assert!(!resolved(&court.resolve(RECEIPT, index, false).unwrap()).upheld);
    court.assert_bond_lost(before);
}

#[test]
fn d4_a_receipt_of_another_line_cannot_be_staged() {
    let mut court = honest();
    let line = unreferred(&court);
    let leaf = court.shard.lines[line].first_receipt;
    court.open(RECEIPT, leaf, line).unwrap();
    let other = court.shard.lines.iter().find(|other| other.referrer != [0; 32]).unwrap().first_receipt as usize;
    assert_refused(stage(&mut court, leaf, other, [0; 32]), SettleError::NotAnAnswer);
}

#[test]
fn s23_the_accused_alone_stages_for_itself() {
    let mut court = honest();
    let line = unreferred(&court);
    let leaf = court.shard.lines[line].first_receipt;
    court.open(RECEIPT, leaf, line).unwrap();
    let (gateway, mallory, worker) = (court.desk.gateway(), key("mallory"), court.desk.net.worker.insecure_clone());
    let check = signature_check(&worker, &court.book.receipts[leaf as usize].to_bytes());
    let staging = ix::stage_evidence(gateway.pubkey(), court.batch(), court.dispute(RECEIPT, leaf), [0; 32]);
    let forged = swap(staging.clone(), gateway.pubkey(), mallory.pubkey());
    assert_refused(court.desk.send(&[check.clone(), forged], &[&mallory]), SettleError::Unauthorized);
    let bare = unsigned(staging.clone(), gateway.pubkey());
    assert_refused(court.desk.send(&[check.clone(), bare], &[]), ErrorCode::AccountNotSigner);
    // s19: the check directly before, by the runtime's own sysvar.
    assert_refused(court.desk.send(std::slice::from_ref(&staging), &[&gateway]), SettleError::SignatureCheck);
    let other = signature_check(&worker, &[7; 320]);
    assert_refused(court.desk.send(&[other, staging.clone()], &[&gateway]), SettleError::MalformedMessage);
    let elsewhere = swap(staging.clone(), INSTRUCTIONS, mallory.pubkey());
    assert_refused(court.desk.send(&[check.clone(), elsewhere], &[&gateway]), SettleError::SignatureCheck);
    // A line's dispute takes no signature.
    let index = court.shard.lines[line].index;
    court.open(LINE, index, line).unwrap();
    let of_line = ix::stage_evidence(gateway.pubkey(), court.batch(), court.dispute(LINE, index), [0; 32]);
    assert_refused(court.desk.send(&[check, of_line], &[&gateway]), SettleError::DisputeState);
}

#[test]
fn what_is_staged_binds_line_worker_and_receipt() {
    let court = honest();
    let receipt = court.book.receipts[0];
    let owner = line_owner(&receipt.line_key, &receipt.worker);
    assert_ne!(owner, line_owner(&receipt.line_key, &[1; 32]));
    assert_ne!(staged(&owner, &receipt.hash()), staged(&owner, &[0; 32]));
}

#[test]
fn a_batch_with_an_open_dispute_is_not_final() {
    let mut court = honest();
    let line = unreferred(&court);
    let index = court.shard.lines[line].index;
    court.desk.advance(i64::from(CHALLENGE_S) - 1);
    court.desk.net.world.refresh_rate();
    court.open(LINE, index, line).unwrap();
    assert_eq!(court.batch_state().open_disputes, 1);
    assert_refused(court.finalize(), SettleError::CasesOpen);
    let first = court.shard.lines[line].first_receipt as usize;
    court.respond(LINE, index, first).unwrap();
    court.respond(LINE, index, first + 2).unwrap();
    assert_refused(court.finalize(), SettleError::CasesOpen);
    court.resolve(LINE, index, false).unwrap();
    court.finalize().unwrap();
}

#[test]
fn a_dispute_is_opened_in_the_window_only_and_once() {
    let mut court = honest();
    let line = unreferred(&court);
    let index = court.shard.lines[line].index;
    court.open(LINE, index, line).unwrap();
    assert!(court.open(LINE, index, line).is_err(), "the address is taken");
    court.desk.advance(CHALLENGE_S.into());
    court.desk.net.world.refresh_rate();
    let other = (line + 1) % 3;
    assert_refused(court.open(LINE, court.shard.lines[other].index, other), SettleError::ChallengeOver);
    let first = court.shard.lines[line].first_receipt as usize;
    // The answer came too late: the window of the dispute is over as well.
    assert_refused(court.respond(LINE, index, first), SettleError::DisputeOver);
    court.resolve(LINE, index, true).unwrap();
    court.finalize().unwrap();
    assert_refused(court.open(LINE, court.shard.lines[other].index, other), SettleError::BatchState);
}

#[test]
fn the_accused_line_must_be_the_batchs_and_cover_what_is_accused() {
    let mut court = honest();
    let line = court.shard.lines.iter().position(|line| line.n_receipts == 3).unwrap();
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt);
    let other = (line + 1) % 3;
    assert_refused(court.open(LINE, court.shard.lines[other].index, line), SettleError::LineMismatch);
    for outside in [first.wrapping_sub(1), first + 3] {
        assert_refused(court.open(RECEIPT, outside, line), SettleError::LineMismatch);
    }
    let batch = court.batch();
    let challenger = court.challenger.insecure_clone();
    let with = |court: &mut Court, kind, change: &dyn Fn(&mut OpenDisputeArgs)| {
        let proof = court.shard.tree.proof(line).unwrap();
        let mut args = OpenDisputeArgs {
            kind,
            index,
            line: court.shard.lines[line].to_bytes(),
            proof: proof.iter().map(merkle::Node::to_bytes).collect(),
        };
        change(&mut args);
        let open = ix::open_dispute(court.by(), batch, args);
        court.desk.send(&[open], &[&challenger])
    };
    assert_refused(with(&mut court, LINE, &|args| args.line[0] ^= 1), SettleError::MalformedMessage);
    assert_refused(with(&mut court, LINE, &|args| args.line[127] ^= 1), SettleError::InvalidProof);
    assert_refused(with(&mut court, LINE, &|args| args.proof[0][32] ^= 1), SettleError::InvalidProof);
    assert_refused(with(&mut court, LINE, &|args| args.proof.truncate(1)), SettleError::InvalidProof);
    // Kinds that begin otherwise.
    for kind in [DisputeKind::UnderpaidWorker, DisputeKind::Overcharge, DisputeKind::Equivocation, DisputeKind::NoBatch]
    {
        assert_refused(with(&mut court, kind, &|_| {}), SettleError::DisputeState);
    }
    with(&mut court, LINE, &|_| {}).unwrap();
}

#[test]
fn a_line_that_reaches_beyond_its_batch_is_refused() {
    let mut court = Court::after(&[&[500, 300]], |book| book.lines[0].n_receipts = 3);
    assert_refused(court.open(LINE, 0, 0), SettleError::LineMismatch);
    let mut court = Court::after(&[&[500, 300]], |book| book.lines[0].n_receipts = u32::MAX);
    assert_refused(court.open(LINE, 0, 0), SettleError::LineMismatch);
}

#[test]
fn a_bond_is_the_challengers_own_aic_into_the_pool() {
    let mut court = honest();
    let line = unreferred(&court);
    let index = court.shard.lines[line].index;
    let (challenger, mallory) = (court.challenger.insecure_clone(), key("mallory"));
    let open = court.open_ix(LINE, index, line);
    let source = aic_account(&challenger.pubkey());
    let of_another = swap(open.clone(), source, aic_account(&court.desk.net.gateway.pubkey()));
    assert_refused(court.desk.send(&[of_another], &[&challenger]), SettleError::TokenMismatch);
    let (_, foreign) = court.desk.net.world.foreign_token_account(&challenger.pubkey(), BOND);
    assert_refused(court.desk.send(&[swap(open.clone(), source, foreign)], &[&challenger]), SettleError::TokenMismatch);
    let mine = court.desk.net.world.aic_account(&mallory.pubkey());
    let elsewhere = swap(open.clone(), court.desk.pool(), mine);
    assert_refused(court.desk.send(&[elsewhere], &[&challenger]), SettleError::AccountMismatch);
    let bare = unsigned(open.clone(), challenger.pubkey());
    assert_refused(court.desk.send(&[bare], &[]), ErrorCode::AccountNotSigner);
    assert_refused(
        court.desk.send(&[read_only(open.clone(), court.batch())], &[&challenger]),
        ErrorCode::ConstraintMut,
    );
    // Too poor for a bond.
    let poor = ix::Challenger { payer: court.desk.payer(), challenger: mallory.pubkey() };
    let proof = court.shard.tree.proof(line).unwrap();
    let args = OpenDisputeArgs {
        kind: LINE,
        index,
        line: court.shard.lines[line].to_bytes(),
        proof: proof.iter().map(merkle::Node::to_bytes).collect(),
    };
    let unpaid = ix::open_dispute(poor, court.batch(), args);
    assert!(court.desk.send(&[unpaid], &[&mallory]).is_err());
    // s24: no bond without a rate.
    court.desk.advance(3 * 86_400);
    court.desk.rewrite(court.batch(), |batch: &mut Batch| batch.posted_at += 3 * 86_400);
    assert!(court.desk.send(&[open], &[&challenger]).is_err());
}

#[test]
fn s02_accounts_of_other_programs_are_refused() {
    let mut court = honest();
    let line = unreferred(&court);
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt as usize);
    let challenger = court.challenger.insecure_clone();
    let open = court.open_ix(LINE, index, line);
    for account in [court.desk.config(), court.batch(), coin::seeds::find_rate().0] {
        let forged = court.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let open = swap(open.clone(), account, forged);
        assert_refused(court.desk.send(&[open], &[&challenger]), ErrorCode::AccountOwnedByWrongProgram);
    }
    court.open(LINE, index, line).unwrap();
    let dispute = court.dispute(LINE, index);
    let respond = court.respond_ix(LINE, index, first);
    for account in [court.desk.config(), dispute] {
        let forged = court.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let respond = swap(respond.clone(), account, forged);
        assert_refused(court.desk.send(&[respond], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    // s03: another type, and s04: another batch.
    let mistaken = swap(respond.clone(), dispute, court.desk.gateway_vault());
    assert_refused(court.desk.send(&[mistaken], &[]), ErrorCode::AccountDiscriminatorMismatch);
    let forged = court.desk.net.world.forge(&court.batch(), None);
    assert_refused(court.desk.send(&[swap(respond, court.batch(), forged)], &[]), SettleError::AccountMismatch);
}

#[test]
fn s09_a_dispute_lives_at_its_own_address() {
    let mut court = honest();
    let line = unreferred(&court);
    let index = court.shard.lines[line].index;
    let challenger = court.challenger.insecure_clone();
    let open = swap(court.open_ix(LINE, index, line), court.dispute(LINE, index), court.dispute(LINE, index + 1));
    assert_refused(court.desk.send(&[open], &[&challenger]), ErrorCode::ConstraintSeeds);
}

#[test]
fn s10_an_outcome_pays_nobody_else() {
    let mut court = honest();
    let line = unreferred(&court);
    let index = court.shard.lines[line].index;
    court.open(LINE, index, line).unwrap();
    court.desk.advance(RESPONSE_S);
    let mine = court.desk.net.world.aic_account(&key("mallory").pubkey());
    let resolve = court.resolve_ix(LINE, index, true);
    let honest_outcome = court.outcome(LINE, index, true);
    // The bond is the challenger's, even when the gateway's account stands in its place.
    for stolen in [mine, aic_account(&court.desk.net.gateway.pubkey()), court.desk.pool()] {
        let outcome = ix::Outcome { bond_to: stolen, ..honest_outcome };
        assert_refused(court.desk.send(&[ix::resolve_dispute(&outcome)], &[]), SettleError::TokenMismatch);
    }
    let outcome = ix::Outcome { harmed: mine, ..honest_outcome };
    assert_refused(court.desk.send(&[ix::resolve_dispute(&outcome)], &[]), SettleError::AccountMismatch);
    // Reporter alone, with the bond where it belongs.
    let mut reporter = resolve.clone();
    let place = reporter.accounts.iter().rposition(|meta| meta.pubkey == honest_outcome.bond_to).unwrap();
    reporter.accounts[place].pubkey = mine;
    assert_refused(court.desk.send(&[reporter], &[]), SettleError::TokenMismatch);
    // Another party's stake, and the gateway's in another role.
    let gateway = market::seeds::find_party(&court.desk.net.gateway.pubkey(), Role::Gateway).0;
    let vendor = market::seeds::find_party(&court.desk.net.vendor.pubkey(), Role::Vendor).0;
    assert_refused(court.desk.send(&[swap(resolve.clone(), gateway, vendor)], &[]), SettleError::AccountMismatch);
    let pool = swap(resolve.clone(), court.desk.pool(), court.desk.gateway_token());
    assert_refused(court.desk.send(&[pool], &[]), SettleError::AccountMismatch);
    let forged = court.desk.net.world.forge(&court.batch(), None);
    let batch = swap(resolve.clone(), court.batch(), forged);
    assert_refused(court.desk.send(&[batch], &[]), SettleError::AccountMismatch);
    let fake = court.desk.net.world.forge(&court.dispute(LINE, index), Some(Pubkey::new_unique()));
    let dispute = swap(resolve.clone(), court.dispute(LINE, index), fake);
    assert_refused(court.desk.send(&[dispute], &[]), ErrorCode::AccountOwnedByWrongProgram);
    let slasher = swap(resolve.clone(), settlement::seeds::find_slasher().0, key("mallory").pubkey());
    assert_refused(court.desk.send(&[slasher], &[]), ErrorCode::ConstraintSeeds);
    // Not through the desk: the forged batch above is nowhere in its books.
    court.desk.net.world.must(&[resolve], &[]);
}

#[test]
fn a_lost_bond_goes_to_the_accused_only() {
    let mut court = honest();
    let line = unreferred(&court);
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt as usize);
    court.open(LINE, index, line).unwrap();
    court.respond(LINE, index, first).unwrap();
    court.respond(LINE, index, first + 2).unwrap();
    // Not back to the challenger, nor to whoever calls.
    assert_refused(court.resolve(LINE, index, true), SettleError::TokenMismatch);
    let mine = court.desk.net.world.aic_account(&key("mallory").pubkey());
    let outcome = ix::Outcome { bond_to: mine, ..court.outcome(LINE, index, false) };
    assert_refused(court.desk.send(&[ix::resolve_dispute(&outcome)], &[]), SettleError::TokenMismatch);
}

#[test]
fn two_disputes_void_one_line_once() {
    let mut court = honest();
    let line = unreferred(&court);
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt);
    court.open(LINE, index, line).unwrap();
    court.open(RECEIPT, first, line).unwrap();
    court.desk.advance(RESPONSE_S);
    let event = resolved(&court.resolve(LINE, index, true).unwrap());
    assert_eq!((event.forfeited_nc, event.penalty_aic), (court.shard.lines[line].credits_nc, PENALTY));
    // The second has its outcome too; one epoch's penalties stay within the largest of them.
    let event = resolved(&court.resolve(RECEIPT, first, true).unwrap());
    assert_eq!((event.forfeited_nc, event.penalty_aic), (0, 0));
    assert_eq!(court.batch_state().forfeited_nc, court.shard.lines[line].credits_nc);
    assert_eq!(court.gateway_stake(), STAKE - PENALTY);
}

#[test]
fn s11_a_dispute_is_closed_after_its_batch_left_the_window() {
    let mut court = honest();
    let line = unreferred(&court);
    let index = court.shard.lines[line].index;
    court.open(LINE, index, line).unwrap();
    let (dispute, batch, payer) = (court.dispute(LINE, index), court.batch(), court.desk.payer());
    let close = ix::close_dispute(dispute, batch, payer);
    assert_refused(court.desk.send(std::slice::from_ref(&close), &[]), SettleError::DisputeState);
    court.desk.advance(RESPONSE_S);
    court.resolve(LINE, index, true).unwrap();
    assert_refused(court.desk.send(std::slice::from_ref(&close), &[]), SettleError::SubjectOpen);
    court.finalize().unwrap();
    let mallory = key("mallory").pubkey();
    assert_refused(court.desk.send(&[swap(close.clone(), payer, mallory)], &[]), SettleError::AccountMismatch);
    assert_refused(court.desk.send(&[swap(close.clone(), batch, mallory)], &[]), SettleError::AccountMismatch);
    let rent = court.desk.net.world.svm.get_balance(&dispute).unwrap();
    let before = court.desk.net.world.svm.get_balance(&payer).unwrap();
    court.desk.measure("close_dispute", "upheld", close, &[]);
    assert_eq!(court.desk.net.world.svm.get_balance(&payer).unwrap() + 5_000 - before, rent);
    assert!(!court.desk.net.world.exists(&dispute));
    assert_refused(court.open(LINE, index, line), SettleError::BatchState);
}

#[test]
fn s17_disputes_can_be_paused_but_not_their_answers() {
    let mut court = honest();
    let line = unreferred(&court);
    let (index, first) = (court.shard.lines[line].index, court.shard.lines[line].first_receipt as usize);
    court.open(LINE, index, line).unwrap();
    court.desk.rewrite(court.desk.config(), |config: &mut SettleConfig| config.pause_flags = pause::ALL);
    assert_refused(court.open(RECEIPT, first as u32, line), SettleError::Paused);
    court.respond(LINE, index, first).unwrap();
    court.respond(LINE, index, first + 2).unwrap();
    court.resolve(LINE, index, false).unwrap();
}

#[test]
fn the_largest_accusation_and_answer_fit_their_transactions_and_ceilings() {
    // 8,192 lines of two receipts each: both trees at their deepest.
    let mut desk = Desk::collected(1_000_000);
    let epoch = desk.epoch();
    let lines = 8_192u32;
    let worker = desk.net.worker.pubkey().to_bytes();
    let mut book = Book { receipts: vec![], lines: vec![] };
    for index in 0..lines {
        let mut referrer = [0; 32];
        referrer[..4].copy_from_slice(&index.to_le_bytes());
        let line = waybill_mechanism::message::Line {
            stage: 0,
            epoch,
            index,
            container: desk.net.container,
            worker,
            referrer,
            first_receipt: index * 2,
            n_receipts: 2,
            credits_nc: 2,
        };
        book.receipts.push(receipt(&desk, epoch, &line, 0, 1, 1));
        book.receipts.push(receipt(&desk, epoch, &line, 1, 1, 2));
        book.lines.push(line);
    }
    let shard = book.shard(epoch, 0);
    let challenger = key("challenger");
    desk.net.world.fund(&challenger.pubkey(), PURSE);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    let mut court = Court { desk, book, shard, challenger };

    let size = |instructions: &[Instruction], signers: usize, payer: Pubkey| {
        1 + 64 * signers + solana_message::Message::new(instructions, Some(&payer)).serialize().len()
    };
    let payer = court.desk.payer();
    let open = court.open_ix(RECEIPT, 16_383, 8_191);
    let bytes = size(std::slice::from_ref(&open), 2, payer);
    assert!(bytes <= 1_232, "open: {bytes} bytes");
    let challenger = court.challenger.insecure_clone();
    court.desk.measure("open_dispute", "depth 13", open, &[&challenger]);
    let (gateway, worker) = (court.desk.gateway(), court.desk.net.worker.insecure_clone());
    let check = signature_check(&worker, &court.book.receipts[16_383].to_bytes());
    let stage = ix::stage_evidence(gateway.pubkey(), court.batch(), court.dispute(RECEIPT, 16_383), [0; 32]);
    let bytes = size(&[check.clone(), stage.clone()], 2, payer);
    assert!(bytes <= 1_232, "stage: {bytes} bytes");
    court.desk.send(&[check, stage], &[&gateway]).unwrap();
    let respond = court.respond_ix(RECEIPT, 16_383, 16_383);
    let bytes = size(std::slice::from_ref(&respond), 1, payer);
    assert!(bytes <= 1_232, "respond: {bytes} bytes");
    court.desk.measure("respond_dispute", "depth 14", respond, &[]);
    let state: Dispute = court.dispute_state(RECEIPT, 16_383);
    assert_eq!(state.state, DisputeState::Answered);
}
