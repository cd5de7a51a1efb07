//! Blocks of lines claimed at once: they pay what single claims pay, and nothing that is not a whole block of the batch.

use anchor_lang::{error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use coin::authority::pause;
use market::state::{Node, SplitSnapshot};
use settlement::{
    error::SettleError,
    events::LineClaimed,
    instructions::PostBatchArgs,
    state::{Batch, BatchState, FeeDay, SettleConfig},
};
use solana_signer::Signer;
use waybill_chain::{
    ix::{self, settlement::LinePayees},
    packing,
};
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle,
    message::{Line, NO_REFERRER},
};
use waybill_tests::{
    assert_refused,
    ix::{read_only, swap},
};

use crate::desk::*;

/// Whom a line pays; the desk's referrer is an active curator.
fn payees(desk: &Desk, line: &Line) -> LinePayees {
    let snapshot = market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch(line.epoch)).0;
    let node = market::seeds::find_node(&Pubkey::new_from_array(line.worker)).0;
    LinePayees {
        payees: desk.net.world.read::<SplitSnapshot>(&snapshot).payees,
        provider: desk.net.world.read::<Node>(&node).operator,
        curator_active: line.referrer != NO_REFERRER,
    }
}

/// The claim of `count` lines from `first` on, with the siblings above the smallest block that holds so many.
fn claim(desk: &Desk, shard: &Shard, first: usize, count: usize) -> Instruction {
    let lines: Vec<(Line, LinePayees)> =
        shard.lines[first..first + count].iter().map(|line| (*line, payees(desk, line))).collect();
    let height = merkle::depth(u32::try_from(count).unwrap()) as usize;
    let proof = shard.tree.block_proof(first, height).unwrap();
    let proof = proof.iter().map(merkle::Node::to_bytes).collect();
    ix::settlement::claim_lines(desk.net.gateway.pubkey(), shard.epoch, shard.shard, &lines, proof)
}

/// Every second line is referred, all are worth different amounts.
fn mixed(desk: &Desk, n: u32) -> Shard {
    let curator = desk.net.curator.pubkey().to_bytes();
    let mut first_receipt = 0;
    let mut lines = Shard::new(desk, desk.epoch(), &vec![0; n as usize], NO_REFERRER).lines;
    for line in &mut lines {
        line.credits_nc = 1_001 + u64::from(line.index) * 10;
        line.referrer = if line.index % 2 == 0 { NO_REFERRER } else { curator };
        line.first_receipt = first_receipt;
        line.n_receipts = 1 + line.index % 3;
        first_receipt += line.n_receipts;
    }
    Shard::of(desk.epoch(), 0, lines)
}

/// A final batch of `n` mixed lines.
fn finalized(n: u32) -> (Desk, Shard) {
    let worth = (0..n).map(|index| 1_001 + u64::from(index) * 10).sum();
    let mut desk = Desk::collected(worth);
    let shard = mixed(&desk, n);
    let mut args = shard.args();
    args.n_receipts = shard.lines.last().map(|line| line.first_receipt + line.n_receipts).unwrap();
    desk.advance(EPOCH_S);
    desk.send(&[desk.post_batch_ix(args)], &[&desk.gateway()]).unwrap();
    desk.advance(CHALLENGE_S.into());
    desk.send(&[desk.finalize_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    (desk, shard)
}

/// What everybody was credited, and the batch.
fn books(desk: &Desk, shard: &Shard) -> (Vec<u64>, Batch) {
    let net = &desk.net;
    let owners = [&net.vendor, &net.oem, &net.operator, &net.weaver, &net.curator];
    (owners.into_iter().map(|owner| desk.earned(owner)).collect(), net.world.read(&desk.batch_of(shard)))
}

#[test]
fn a_block_pays_what_its_lines_pay_one_by_one() {
    for n in [1, 2, 4, 7, 16] {
        let ((mut single, shard), (mut block, _)) = (finalized(n), finalized(n));
        let mut one_by_one = Vec::new();
        for index in 0..n as usize {
            let built = single.claim_ix(&shard, index);
            one_by_one.extend(single.send(&[built], &[]).unwrap().cpi_events::<LineClaimed>());
        }
        let built = claim(&block, &shard, 0, n as usize);
        // A measured call is broken in each of its accounts, so not the longest.
        let sent = match n {
            4 => block.measure("claim_lines", "a batch of 4", built, &[]),
            _ => block.send(&[built], &[]).unwrap(),
        };
        let at_once: Vec<LineClaimed> = sent.cpi_events();
        let told = |events: &[LineClaimed]| -> Vec<_> {
            events
                .iter()
                .map(|event| (event.index, event.parts_aic, event.burned, event.claimed_aic, event.seq))
                .collect()
        };
        assert_eq!(told(&at_once), told(&one_by_one));
        let ((earned, batch), (expected, other)) = (books(&block, &shard), books(&single, &shard));
        assert_eq!(earned, expected);
        assert_eq!(
            (batch.claimed_lines, batch.claimed_nc, batch.claimed_aic, batch.fee_aic, batch.burn_aic),
            (other.claimed_lines, other.claimed_nc, other.claimed_aic, other.fee_aic, other.burn_aic)
        );
    }
}

#[test]
fn two_batches_become_final_and_are_claimed_in_one_transaction_and_swept_in_another() {
    let worth: u64 = (0..4).map(|index| 1_001 + index * 10).sum();
    let mut desk = Desk::collected(2 * worth);
    let shards = [0, 1].map(|shard| Shard { shard, ..mixed(&desk, 4) });
    desk.advance(EPOCH_S);
    for shard in &shards {
        let args = PostBatchArgs { n_receipts: 8, ..shard.args() };
        desk.send(&[desk.post_batch_ix(args)], &[&desk.gateway()]).unwrap();
    }
    desk.advance(CHALLENGE_S.into());
    let finish: Vec<Instruction> = shards
        .iter()
        .flat_map(|shard| [desk.finalize_batch_ix(desk.batch_of(shard)), claim(&desk, shard, 0, 4)])
        .collect();
    assert!(packing::fits(&desk.payer(), &finish).unwrap());
    desk.send(&finish, &[]).unwrap();
    let sweep: Vec<Instruction> = shards.iter().map(|shard| desk.sweep_batch_ix(desk.batch_of(shard))).collect();
    desk.send(&sweep, &[]).unwrap();
    for shard in &shards {
        let batch = books(&desk, shard).1;
        assert_eq!((batch.state, batch.claimed_lines, batch.claimed_nc), (BatchState::Swept, 4, worth));
    }
}

#[test]
fn a_part_of_a_batch_is_a_block_of_its_tree() {
    let (mut desk, shard) = finalized(11);
    for (first, count) in [(8, 3), (0, 4), (4, 2), (7, 1), (6, 1)] {
        let built = claim(&desk, &shard, first, count);
        desk.send(&[built], &[]).unwrap();
    }
    assert_eq!(books(&desk, &shard).1.claimed_lines, 11);
    // Lines that are no block: across a boundary, and a tail that is not the batch's.
    let (mut desk, shard) = finalized(11);
    for (first, count) in [(1, 2), (3, 2), (6, 4), (0, 3)] {
        let built = claim(&desk, &shard, first, count);
        assert_refused(desk.send(&[built], &[]), SettleError::InvalidProof);
    }
}

#[test]
fn s22_no_line_is_paid_twice_by_a_block() {
    let (mut desk, shard) = finalized(4);
    let built = desk.claim_ix(&shard, 2);
    desk.send(&[built], &[]).unwrap();
    let all = claim(&desk, &shard, 0, 4);
    assert_refused(desk.send(&[all], &[]), SettleError::AlreadyClaimed);
    let half = claim(&desk, &shard, 0, 2);
    desk.send(std::slice::from_ref(&half), &[]).unwrap();
    assert_refused(desk.send(&[half], &[]), SettleError::AlreadyClaimed);
    let built = desk.claim_ix(&shard, 1);
    assert_refused(desk.send(&[built], &[]), SettleError::AlreadyClaimed);
}

#[test]
fn s21_lines_that_the_batch_does_not_commit_to_are_refused() {
    let (mut desk, shard) = finalized(4);
    let good = claim(&desk, &shard, 0, 4);
    let bend = |change: &dyn Fn(&mut Line)| {
        let mut lines: Vec<(Line, LinePayees)> = shard.lines.iter().map(|line| (*line, payees(&desk, line))).collect();
        change(&mut lines[1].0);
        ix::settlement::claim_lines(desk.net.gateway.pubkey(), shard.epoch, shard.shard, &lines, Vec::new())
    };
    let bent = [
        bend(&|line| line.credits_nc += 1),
        bend(&|line| line.n_receipts += 1),
        bend(&|line| line.referrer = desk.net.vendor.pubkey().to_bytes()),
    ];
    for built in bent {
        assert_refused(desk.send(&[built], &[]), SettleError::InvalidProof);
    }
    let with_proof = {
        let lines: Vec<(Line, LinePayees)> = shard.lines.iter().map(|line| (*line, payees(&desk, line))).collect();
        ix::settlement::claim_lines(desk.net.gateway.pubkey(), shard.epoch, shard.shard, &lines, vec![[0; 40]])
    };
    assert_refused(desk.send(&[with_proof], &[]), SettleError::InvalidProof);
    desk.send(&[good], &[]).unwrap();
}

#[test]
fn s12_the_accounts_of_a_block_come_complete_in_order_and_writable() {
    let (mut desk, shard) = finalized(2);
    let good = claim(&desk, &shard, 0, 2);
    let snapshot = good.accounts[4].pubkey;
    let node = good.accounts[5].pubkey;
    let vendor = desk.earnings(&desk.net.vendor.pubkey());
    let operator = desk.earnings(&desk.net.operator.pubkey());
    let forged = desk.net.world.forge(&snapshot, Some(anchor_spl::token::ID));
    let batch = desk.batch_of(&shard);
    let mut missing = good.clone();
    missing.accounts.pop();
    let mut extra = good.clone();
    extra.accounts.push(good.accounts[6].clone());
    let mut turned = good.clone();
    turned.accounts.swap(8, 9);
    let cases: Vec<(Instruction, u32)> = vec![
        (missing, SettleError::PayeeMismatch.into()),
        (extra, SettleError::PayeeMismatch.into()),
        (turned, SettleError::PayeeMismatch.into()),
        (swap(good.clone(), vendor, operator), SettleError::PayeeMismatch.into()),
        (read_only(good.clone(), vendor), SettleError::PayeeMismatch.into()),
        (read_only(good.clone(), batch), ErrorCode::ConstraintMut.into()),
        (swap(good.clone(), snapshot, node), ErrorCode::AccountDiscriminatorMismatch.into()),
        (swap(good.clone(), snapshot, forged), ErrorCode::AccountOwnedByWrongProgram.into()),
        (swap(good.clone(), node, snapshot), ErrorCode::AccountDiscriminatorMismatch.into()),
        (swap(good.clone(), batch, desk.config()), ErrorCode::AccountDiscriminatorMismatch.into()),
        (swap(good.clone(), desk.config(), batch), ErrorCode::AccountDiscriminatorMismatch.into()),
    ];
    for (built, code) in cases {
        let refused = desk.send(&[built], &[]).unwrap_err();
        assert_eq!(refused.code(), Some(code), "{:?}", refused.failure);
    }
    desk.send(&[good], &[]).unwrap();
}

#[test]
fn a_block_needs_a_final_batch_a_running_program_and_a_price_of_its_time() {
    let mut desk = Desk::collected(2_000);
    let shard = Shard::new(&desk, desk.epoch(), &[1_000, 1_000], NO_REFERRER);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    let good = claim(&desk, &shard, 0, 2);
    assert_refused(desk.send(std::slice::from_ref(&good), &[]), SettleError::BatchState);
    desk.advance(CHALLENGE_S.into());
    desk.send(&[desk.finalize_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    let config = desk.config();
    desk.rewrite(config, |config: &mut SettleConfig| config.pause_flags = pause::CLAIMS);
    assert_refused(desk.send(std::slice::from_ref(&good), &[]), SettleError::Paused);
    desk.rewrite(config, |config: &mut SettleConfig| config.pause_flags = 0);
    // The same container and stage at the price of another day.
    let snapshot = good.accounts[4].pubkey;
    let mut data = desk.net.world.svm.get_account(&snapshot).unwrap().data;
    data[11] ^= 1;
    let other = waybill_tests::key("another day").pubkey();
    desk.net.world.put(other, market::ID, data);
    assert_refused(desk.send(&[swap(good.clone(), snapshot, other)], &[]), SettleError::SnapshotMismatch);
    let mut none = good.clone();
    none.data[16..20].fill(0);
    none.data.truncate(24);
    none.data[20..24].fill(0);
    assert_refused(desk.send(&[none], &[]), SettleError::LineMismatch);
    desk.send(&[good], &[]).unwrap();
}

#[test]
fn seventeen_lines_are_too_many_for_one_call() {
    let (mut desk, shard) = finalized(17);
    let built = claim(&desk, &shard, 0, 17);
    assert_refused(desk.send(&[built], &[]), SettleError::LineMismatch);
    for (first, count) in [(0, 16), (16, 1)] {
        let built = claim(&desk, &shard, first, count);
        desk.send(&[built], &[]).unwrap();
    }
}

#[test]
fn s11_a_days_fees_end_90_days_after_it_and_their_rent_goes_back() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NO_REFERRER);
    desk.claim(&shard, 0).unwrap();
    desk.send(&[desk.sweep_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    let day = u32::try_from(desk.now() / 86_400).unwrap();
    let address = settlement::seeds::find_fee_day(day).0;
    let fees: FeeDay = desk.net.world.read(&address);
    let rent = desk.net.world.svm.get_balance(&address).unwrap();
    let close = ix::settlement::close_fee_day(day, fees.rent_payer);
    let end = i64::from(day + 91) * 86_400;
    desk.advance(end - 1 - desk.now());
    assert_refused(desk.send(std::slice::from_ref(&close), &[]), SettleError::FeeDayKept);
    desk.advance(1);
    let thief = waybill_tests::key("thief").pubkey();
    assert_refused(desk.send(&[swap(close.clone(), fees.rent_payer, thief)], &[]), SettleError::AccountMismatch);
    let before = desk.net.world.svm.get_balance(&fees.rent_payer).unwrap();
    desk.measure("close_fee_day", "spent", close, &[]);
    assert!(!desk.net.world.exists(&address));
    assert_eq!(desk.net.world.svm.get_balance(&fees.rent_payer).unwrap() + 5_000, before + rent);
}
