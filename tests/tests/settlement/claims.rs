//! Batches, claims and the sweep: who can take what, when, and how often.

use anchor_lang::{
    error::ErrorCode,
    prelude::{AccountMeta, Pubkey},
};
use coin::state::VaultKind;
use market::state::{Node, Party, Role, SplitSnapshot};
use settlement::{
    error::SettleError,
    events::{BatchSwept, LineClaimed},
    instructions::PostBatchArgs,
    state::{Batch, GatewayVault},
};
use solana_signer::Signer;
use waybill_mechanism::{amount::pricing_epoch, merkle::Node as Sibling};
use waybill_tests::{
    Refused, Sent, assert_refused,
    ix::{read_only, swap},
    key,
};

use crate::desk::*;

const NONE: [u8; 32] = [0; 32];

fn claimed(sent: &Sent) -> LineClaimed {
    let [event] = sent.cpi_events::<LineClaimed>().try_into().ok().unwrap();
    event
}

fn claim_with(desk: &mut Desk, shard: &Shard, index: usize, proof: &[Sibling]) -> Result<Sent, Refused> {
    let claim = desk.claim_line_ix(desk.batch_of(shard), &shard.lines[index], proof);
    desk.send(&[claim], &[])
}

fn snapshot_of(desk: &Desk, shard: &Shard) -> Pubkey {
    market::seeds::find_snapshot(&desk.net.container, 0, pricing_epoch(shard.epoch)).0
}

#[test]
fn a_batch_is_posted_once_and_only_after_its_epoch() {
    let mut desk = Desk::collected(1_000);
    let shard = Shard::new(&desk, desk.epoch(), &[600, 400], NONE);
    assert_refused(desk.post(&shard), SettleError::EpochNotOver);
    let left = EPOCH_S - desk.now() % EPOCH_S;
    desk.advance(left - 1);
    assert_refused(desk.post(&shard), SettleError::EpochNotOver);
    desk.advance(1);
    desk.post(&shard).unwrap();
    assert!(desk.post(&shard).is_err(), "the address is taken");
    let batch: Batch = desk.net.world.read(&desk.batch_of(&shard));
    assert!(!batch.late);
}

#[test]
fn a_batch_within_the_vault_and_its_bounds_is_the_only_one() {
    let mut desk = Desk::collected(1_000);
    let shard = Shard::new(&desk, desk.epoch(), &[600, 400], NONE);
    desk.advance(EPOCH_S);
    let good = shard.args();
    let bad: [(PostBatchArgs, SettleError); 6] = [
        (PostBatchArgs { receipts_sum_nc: 999, ..good.clone() }, SettleError::InvalidBatch),
        (PostBatchArgs { lines_sum_nc: 0, receipts_sum_nc: 0, ..good.clone() }, SettleError::InvalidBatch),
        (PostBatchArgs { n_lines: 3, ..good.clone() }, SettleError::InvalidBatch),
        (PostBatchArgs { n_lines: 8_193, n_receipts: 8_193, ..good.clone() }, SettleError::InvalidBatch),
        (PostBatchArgs { n_receipts: 16_385, ..good.clone() }, SettleError::InvalidBatch),
        (PostBatchArgs { lines_sum_nc: 1_001, receipts_sum_nc: 1_001, ..good.clone() }, SettleError::InsufficientVault),
    ];
    for (args, error) in bad {
        assert_refused(desk.send(&[desk.post_batch_ix(args)], &[&desk.gateway()]), error);
    }
    let other = key("other gateway");
    let forged = swap(desk.post_batch_ix(good), desk.net.gateway.pubkey(), other.pubkey());
    assert!(desk.send(&[forged], &[&other]).is_err());
    desk.post(&shard).unwrap();
}

#[test]
fn a_late_batch_says_so_and_still_pays() {
    let mut desk = Desk::collected(1_000);
    let shard = Shard::new(&desk, desk.epoch(), &[1_000], NONE);
    desk.advance(EPOCH_S + i64::from(POST_WINDOW_S) + EPOCH_S);
    desk.post(&shard).unwrap();
    assert!(desk.net.world.read::<Batch>(&desk.batch_of(&shard)).late);
}

#[test]
fn shards_of_an_epoch_share_the_vault() {
    let mut desk = Desk::collected(1_000);
    let epoch = desk.epoch();
    let mut first = Shard::new(&desk, epoch, &[700], NONE);
    let mut second = Shard::new(&desk, epoch, &[300], NONE);
    (first.shard, second.shard) = (0, 1);
    desk.advance(EPOCH_S);
    desk.post(&first).unwrap();
    desk.post(&second).unwrap();
    let vault: GatewayVault = desk.net.world.read(&desk.gateway_vault());
    assert_eq!((vault.nc, vault.aic), (0, 0));
}

#[test]
fn s22_nothing_is_claimable_before_the_challenge_window_ends() {
    let mut desk = Desk::collected(1_000);
    let shard = Shard::new(&desk, desk.epoch(), &[600, 400], NONE);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    let batch = desk.batch_of(&shard);
    assert_refused(desk.claim(&shard, 0), SettleError::BatchState);
    desk.advance(i64::from(CHALLENGE_S) - 1);
    assert_refused(desk.send(&[desk.finalize_batch_ix(batch)], &[]), SettleError::ChallengeOpen);
    desk.advance(1);
    desk.send(&[desk.finalize_batch_ix(batch)], &[]).unwrap();
    assert!(desk.send(&[desk.finalize_batch_ix(batch)], &[]).is_err());
    desk.claim(&shard, 0).unwrap();
}

#[test]
fn s22_a_line_is_claimed_once() {
    let (mut desk, shard) = Desk::finalized(&[500; 9], NONE);
    for index in [8, 0, 7] {
        desk.claim(&shard, index).unwrap();
        assert_refused(desk.claim(&shard, index), SettleError::AlreadyClaimed);
    }
    let data = desk.net.world.svm.get_account(&desk.batch_of(&shard)).unwrap().data;
    assert_eq!(data[Batch::HEADER..], [0b1000_0001, 0b0000_0001]);
}

#[test]
fn s21_only_the_exact_proof_leads_to_the_root() {
    let (mut desk, shard) = Desk::finalized(&[500, 300, 200], NONE);
    let proof = shard.tree.proof(1).unwrap();
    for change in [1i64, -1] {
        let mut bent = proof.clone();
        bent[0].sum = bent[0].sum.checked_add_signed(change).unwrap();
        assert_refused(claim_with(&mut desk, &shard, 1, &bent), SettleError::InvalidProof);
    }
    let mut flipped = proof.clone();
    flipped[1].hash[31] ^= 1;
    assert_refused(claim_with(&mut desk, &shard, 1, &flipped), SettleError::InvalidProof);
    assert_refused(claim_with(&mut desk, &shard, 1, &proof[..1]), SettleError::InvalidProof);
    let deeper = [proof.as_slice(), &[proof[0]]].concat();
    assert_refused(claim_with(&mut desk, &shard, 1, &deeper), SettleError::InvalidProof);
    assert_refused(claim_with(&mut desk, &shard, 0, &proof), SettleError::InvalidProof);
    claim_with(&mut desk, &shard, 1, &proof).unwrap();
}

#[test]
fn s21_a_line_that_is_not_in_the_tree_is_refused() {
    let (mut desk, shard) = Desk::finalized(&[500, 300, 200], NONE);
    let batch = desk.batch_of(&shard);
    let (line, proof) = (shard.lines[1], shard.tree.proof(1).unwrap());
    let claim = |desk: &mut Desk, line| {
        let claim = desk.claim_line_ix(batch, &line, &proof);
        desk.send(&[claim], &[])
    };
    let mut richer = line;
    richer.credits_nc += 1;
    assert_refused(claim(&mut desk, richer), SettleError::InvalidProof);
    let mut referred = line;
    referred.referrer = desk.net.curator.pubkey().to_bytes();
    assert_refused(claim(&mut desk, referred), SettleError::InvalidProof);
    // 1 + 4 has the same low bits as 1 at depth 2.
    for index in [3, 5, u32::MAX] {
        let mut outside = line;
        outside.index = index;
        assert_refused(claim(&mut desk, outside), SettleError::LineMismatch);
    }
    // The bytes themselves: magic, version, flags, pad.
    for at in [0, 4, 6, 7] {
        let mut claim = desk.claim_line_ix(batch, &line, &proof);
        claim.data[8 + at] ^= 1;
        assert_refused(desk.send(&[claim], &[]), SettleError::MalformedMessage);
    }
}

#[test]
fn a_line_of_another_epoch_is_refused() {
    let mut desk = Desk::collected(1_000);
    let epoch = desk.epoch();
    let mut shard = Shard::new(&desk, epoch - 1, &[1_000], NONE);
    shard.epoch = epoch;
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    desk.advance(CHALLENGE_S.into());
    desk.send(&[desk.finalize_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    assert_refused(desk.claim(&shard, 0), SettleError::LineMismatch);
}

#[test]
fn the_snapshot_must_price_the_line() {
    let changes: [fn(&mut SplitSnapshot); 3] = [|s| s.stage = 1, |s| s.pricing_epoch += 1, |s| s.container[0] ^= 1];
    for change in changes {
        let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
        desk.rewrite(snapshot_of(&desk, &shard), change);
        assert_refused(desk.claim(&shard, 0), SettleError::SnapshotMismatch);
    }
}

#[test]
fn the_node_must_be_the_worker_of_the_line() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let claim = desk.claim_ix(&shard, 0);
    let node = market::seeds::find_node(&desk.net.worker.pubkey()).0;
    desk.rewrite(node, |node: &mut Node| node.worker = Pubkey::new_unique());
    assert_refused(desk.send(&[claim], &[]), SettleError::NodeMismatch);
}

#[test]
fn s02_accounts_of_other_programs_are_refused() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let claim = desk.claim_ix(&shard, 0);
    let node = market::seeds::find_node(&desk.net.worker.pubkey()).0;
    let accounts = [desk.config(), desk.batch_of(&shard), snapshot_of(&desk, &shard), node];
    for account in accounts {
        let forged = desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let claim = swap(claim.clone(), account, forged);
        assert_refused(desk.send(&[claim], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    let earnings = desk.earnings(&desk.net.vendor.pubkey());
    let forged = desk.net.world.forge(&earnings, Some(Pubkey::new_unique()));
    assert_refused(desk.send(&[swap(claim, earnings, forged)], &[]), ErrorCode::AccountOwnedByWrongProgram);
}

#[test]
fn s03_an_account_of_another_type_is_refused() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let claim = desk.claim_ix(&shard, 0);
    let (config, batch, snapshot) = (desk.config(), desk.batch_of(&shard), snapshot_of(&desk, &shard));
    let node = market::seeds::find_node(&desk.net.worker.pubkey()).0;
    let earnings = desk.earnings(&desk.net.vendor.pubkey());
    for (from, to) in [(config, batch), (snapshot, node), (node, snapshot), (earnings, config)] {
        let claim = swap(claim.clone(), from, to);
        assert_refused(desk.send(&[claim], &[]), ErrorCode::AccountDiscriminatorMismatch);
    }
}

#[test]
fn s12_payees_come_complete_in_order_and_writable() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let claim = desk.claim_ix(&shard, 0);
    let first = claim.accounts.len() - 4;
    let mut swapped = claim.clone();
    swapped.accounts.swap(first, first + 1);
    assert_refused(desk.send(&[swapped], &[]), SettleError::PayeeMismatch);
    let mut short = claim.clone();
    short.accounts.pop();
    assert_refused(desk.send(&[short], &[]), SettleError::PayeeMismatch);
    let mut long = claim.clone();
    long.accounts.push(AccountMeta::new(desk.earnings(&desk.net.curator.pubkey()), false));
    assert_refused(desk.send(&[long], &[]), SettleError::PayeeMismatch);
    let vendor = desk.earnings(&desk.net.vendor.pubkey());
    assert_refused(desk.send(&[read_only(claim, vendor)], &[]), SettleError::PayeeMismatch);
    desk.claim(&shard, 0).unwrap();
}

#[test]
fn one_owner_may_be_several_payees() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let vendor = desk.net.vendor.pubkey();
    desk.rewrite(snapshot_of(&desk, &shard), |s: &mut SplitSnapshot| {
        (s.payees.oem, s.payees.weaver) = (vendor, vendor)
    });
    desk.claim(&shard, 0).unwrap();
    assert_eq!(desk.earned(&desk.net.vendor), 3 * (20_000 * 1_198 / 10_000));
}

#[test]
fn a_stage_without_oem_has_no_oem_payee() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let snapshot = snapshot_of(&desk, &shard);
    desk.rewrite(snapshot, |s: &mut SplitSnapshot| s.payees.oem = Pubkey::default());
    assert_refused(desk.claim(&shard, 0), SettleError::SnapshotMismatch);
    desk.rewrite(snapshot, |s: &mut SplitSnapshot| s.bps = [1198, 0, 6804, 500, 1198, 300]);
    let event = claimed(&desk.claim(&shard, 0).unwrap());
    assert_eq!(event.parts_aic[1], 0);
    assert_eq!(event.parts_aic.iter().sum::<u64>(), 20_000);
}

#[test]
fn without_a_referrer_the_curators_share_burns() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let event = claimed(&desk.claim(&shard, 0).unwrap());
    assert!(event.burned);
    assert_eq!(event.parts_aic[3], 1_000);
    let supply = desk.supply();
    let sent = desk.send(&[desk.sweep_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    // 60 of 300 parts of the fee, and the share.
    assert_eq!(swept.burned_aic, 600 / 5 + 1_000);
    assert_eq!(supply - desk.supply(), swept.burned_aic);
}

#[test]
fn a_referrer_who_is_no_curator_keeps_nobody_from_being_paid() {
    let stranger = Pubkey::new_from_array([5; 32]);
    let (mut desk, shard) = Desk::finalized(&[1_000], stranger.to_bytes());
    let claim = desk.claim_ix(&shard, 0);
    // The party's address must be shown, or anyone could burn a curator's share.
    let mut hidden = claim.clone();
    hidden.accounts.pop();
    assert_refused(desk.send(&[hidden], &[]), SettleError::PayeeMismatch);
    let elsewhere = swap(claim.clone(), market::seeds::find_party(&stranger, Role::Curator).0, Pubkey::new_unique());
    assert_refused(desk.send(&[elsewhere], &[]), SettleError::PayeeMismatch);
    assert!(claimed(&desk.send(&[claim], &[]).unwrap()).burned);
}

#[test]
fn a_curators_share_cannot_be_withheld_or_redirected() {
    let curator = key("curator").pubkey();
    let (mut desk, shard) = Desk::finalized(&[1_000], curator.to_bytes());
    let claim = desk.claim_ix(&shard, 0);
    let party = market::seeds::find_party(&curator, Role::Curator).0;
    for wrong in [market::seeds::find_party(&desk.net.gateway.pubkey(), Role::Gateway).0, Pubkey::new_unique()] {
        assert_refused(desk.send(&[swap(claim.clone(), party, wrong)], &[]), SettleError::PayeeMismatch);
    }
    let mine = swap(claim.clone(), desk.earnings(&curator), desk.earnings(&desk.net.gateway.pubkey()));
    assert_refused(desk.send(&[mine], &[]), SettleError::PayeeMismatch);
    desk.send(&[claim], &[]).unwrap();
    assert_eq!(desk.earned(&desk.net.curator), 1_000);
}

#[test]
fn s28_a_curator_without_stake_earns_nothing() {
    let curator = key("curator").pubkey();
    let (mut desk, shard) = Desk::finalized(&[1_000], curator.to_bytes());
    desk.rewrite(market::seeds::find_party(&curator, Role::Curator).0, |party: &mut Party| party.stake = 0);
    assert!(claimed(&desk.claim(&shard, 0).unwrap()).burned);
    assert_eq!(desk.earned(&desk.net.curator), 0);
}

#[test]
fn s16_rounding_leaves_less_than_a_unit_per_line_and_it_goes_to_insurance() {
    let credits = [7, 11, 13, 17, 19, 23, 29];
    let mut desk = Desk::collected(credits.iter().sum());
    let shard = Shard::new(&desk, desk.epoch(), &credits, NONE);
    let batch = desk.batch_of(&shard);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    // Somebody sends tokens to the batch's vault: they become the payees', and no line is a whole number of units.
    let vault = settlement::seeds::find_batch_vault(&batch).0;
    let friend = key("friend");
    let source = desk.net.world.fund(&friend.pubkey(), 3);
    desk.net.world.must(&[transfer_ix(source, vault, friend.pubkey(), 3)], &[&friend]);
    desk.advance(CHALLENGE_S.into());
    desk.send(&[desk.finalize_batch_ix(batch)], &[]).unwrap();

    let whole: u64 = 119 * 20 + 3;
    let mut paid = 0;
    for (index, line_nc) in credits.iter().enumerate() {
        let event = claimed(&desk.claim(&shard, index).unwrap());
        let aic: u64 = event.parts_aic.iter().sum();
        assert_eq!(aic, line_nc * whole / 119, "a line rounds down");
        paid += aic;
    }
    let insurance = coin::seeds::find_vault(VaultKind::Insurance).0;
    let before = desk.token(&insurance);
    let sent = desk.send(&[desk.sweep_batch_ix(batch)], &[]).unwrap();
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    assert_eq!(swept.remainder_aic, whole - paid);
    assert!(swept.remainder_aic > 0 && swept.remainder_aic < 7);
    assert_eq!(desk.token(&insurance) - before, swept.remainder_aic);
}

#[test]
fn a_sweep_waits_for_the_claims_or_the_deadline() {
    let (mut desk, shard) = Desk::finalized(&[600, 400], NONE);
    let batch = desk.batch_of(&shard);
    desk.claim(&shard, 0).unwrap();
    assert_refused(desk.send(&[desk.sweep_batch_ix(batch)], &[]), SettleError::ClaimsOpen);
    desk.advance(i64::from(CLAIM_WINDOW_S) - 1);
    assert_refused(desk.send(&[desk.sweep_batch_ix(batch)], &[]), SettleError::ClaimsOpen);
    desk.advance(1);
    let sent = desk.send(&[desk.sweep_batch_ix(batch)], &[]).unwrap();
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    assert_eq!(swept.remainder_aic, 400 * AIC_PER_NC, "an unclaimed line goes to insurance");
    assert_refused(desk.send(&[desk.sweep_batch_ix(batch)], &[]), SettleError::BatchState);
    assert_refused(desk.claim(&shard, 1), SettleError::BatchState);
}

#[test]
fn a_sweep_pays_the_configured_vaults_only() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    desk.claim(&shard, 0).unwrap();
    let sweep = desk.sweep_batch_ix(desk.batch_of(&shard));
    let mine = desk.net.world.aic_account(&key("mallory").pubkey());
    for vault in [
        desk.pool(),
        settlement::seeds::find_audits(&desk.mint).0,
        coin::seeds::find_vault(VaultKind::Treasury).0,
        coin::seeds::find_vault(VaultKind::Insurance).0,
    ] {
        assert_refused(desk.send(&[swap(sweep.clone(), vault, mine)], &[]), SettleError::AccountMismatch);
    }
    let (gateway, vendor) = (desk.earnings(&desk.net.gateway.pubkey()), desk.earnings(&desk.net.vendor.pubkey()));
    assert_refused(desk.send(&[swap(sweep.clone(), gateway, vendor)], &[]), SettleError::PayeeMismatch);
    desk.send(&[sweep], &[]).unwrap();
}

#[test]
fn s11_a_closed_batch_returns_its_rent_and_cannot_be_posted_again() {
    let (mut desk, shard) = Desk::finalized(&[1_000], NONE);
    let batch = desk.batch_of(&shard);
    assert_refused(desk.send(&[desk.close_batch_ix(batch)], &[&desk.gateway()]), SettleError::BatchState);
    desk.claim(&shard, 0).unwrap();
    desk.send(&[desk.sweep_batch_ix(batch)], &[]).unwrap();
    let rent = desk.net.world.svm.get_account(&batch).unwrap().lamports;
    let wrong_payer = swap(desk.close_batch_ix(batch), desk.payer(), key("mallory").pubkey());
    assert_refused(desk.send(&[wrong_payer], &[&desk.gateway()]), SettleError::AccountMismatch);
    let before = desk.net.world.svm.get_balance(&desk.payer()).unwrap();
    desk.measure("close_batch", "swept", desk.close_batch_ix(batch), &[&desk.gateway()]);
    let fee = 10_000;
    assert_eq!(desk.net.world.svm.get_balance(&desk.payer()).unwrap() + fee - before, rent);
    assert!(!desk.net.world.exists(&batch));
    desk.net.world.refresh_rate();
    desk.deposit(20_000);
    let terms = desk.terms(1_000);
    desk.send(&[desk.set_delegate_ix(terms)], &[&desk.consumer()]).unwrap();
    desk.settle(2_000, 2).unwrap();
    assert_refused(desk.post(&shard), SettleError::EpochClosed);
}

#[test]
fn a_claim_of_the_deepest_batch_fits_one_transaction_and_its_ceiling() {
    let curator = key("curator").pubkey();
    let (mut desk, shard) = Desk::finalized(&[1_000; 8_192], curator.to_bytes());
    let claim = desk.claim_ix(&shard, 8_191);
    assert_eq!(shard.tree.proof(8_191).unwrap().len(), 13);
    let message = solana_message::Message::new(std::slice::from_ref(&claim), Some(&desk.payer()));
    let bytes = 1 + 64 + message.serialize().len();
    assert!(bytes <= 1_232, "{bytes} bytes");
    let sent = desk.measure("claim_line", "depth 13, 6 payees", claim, &[]);
    assert!(!claimed(&sent).burned);
}

#[test]
fn a_batch_becomes_final_into_the_pool_only() {
    let mut desk = Desk::collected(1_000);
    let shard = Shard::new(&desk, desk.epoch(), &[1_000], NONE);
    desk.advance(EPOCH_S);
    desk.post(&shard).unwrap();
    desk.advance(CHALLENGE_S.into());
    let finalize = desk.finalize_batch_ix(desk.batch_of(&shard));
    let mallory = key("mallory").pubkey();
    let mine = desk.net.world.aic_account(&mallory);
    let (pool, payer) = (desk.pool(), desk.payer());
    assert_refused(desk.send(&[swap(finalize.clone(), pool, mine)], &[]), SettleError::AccountMismatch);
    assert_refused(desk.send(&[swap(finalize.clone(), payer, mallory)], &[]), SettleError::AccountMismatch);
    let vault = settlement::seeds::find_batch_vault(&desk.batch_of(&shard)).0;
    let other_vault = swap(finalize.clone(), vault, desk.gateway_token());
    assert_refused(desk.send(&[other_vault], &[]), ErrorCode::ConstraintSeeds);
    desk.send(&[finalize], &[]).unwrap();
}
