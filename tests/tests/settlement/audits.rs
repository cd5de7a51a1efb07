//! Audits: the draw, the panel, verdicts and what follows from them, with real signatures and trees.

use anchor_lang::{
    error::ErrorCode,
    prelude::{AccountMeta, Pubkey},
};
use coin::authority::pause;
use market::state::{DetClass, Node, Offence, Party, Role};
use settlement::{
    error::SettleError,
    events::{
        AuditOpened, AuditResolved, AuditsSeeded, BatchSwept, BondSettled, LineForfeited, VerdictSubmitted,
        VerifierPaid, VerifierPunished, WorkerPunished,
    },
    seeds,
    state::*,
};
use solana_signer::Signer;
use waybill_chain::ix::audits as ix;
use waybill_mechanism::{
    audit::{audit_seed, canary_commitment},
    message::{Receipt, Verdict},
};
use waybill_tests::{
    assert_refused,
    ix::{swap, unsigned},
    key,
};

use crate::{desk::*, panel::*};

fn pause_all(panel: &mut Panel, flags: u16) {
    let config = panel.desk.config();
    panel.desk.rewrite(config, |config: &mut SettleConfig| config.pause_flags = flags);
}

// --- the draw --------------------------------------------------------------------------------------------------------

#[test]
fn the_seed_is_the_hash_of_the_slot_32_after_the_posting() {
    let mut panel = Panel::posted(1, false);
    let posted = panel.batch().posted_slot;
    let seed = ix::seed_audits(panel.address());
    panel.set_slot_hashes(posted + 31 - 511, posted + 31);
    assert_refused(panel.desk.send(&[seed.clone()], &[]), SettleError::SeedTooEarly);
    panel.set_slot_hashes(posted + 200 - 511, posted + 200);
    let sent = panel.desk.measure("seed_audits", "512 slot hashes", seed.clone(), &[]);
    let [event] = sent.log_events::<AuditsSeeded>().try_into().ok().unwrap();
    let batch = panel.batch();
    let hash = [(posted + 32) as u8; 32];
    assert_eq!(batch.seed, audit_seed(&panel.address().to_bytes(), &batch.receipts_root, &hash));
    assert_eq!((batch.seed_slot, batch.draws, event.seed), (posted + 32, 16, batch.seed));
    // Drawn once: no later slot changes it.
    panel.set_slot_hashes(posted + 201 - 511, posted + 201);
    assert_refused(panel.desk.send(&[seed], &[]), SettleError::AlreadySeeded);
}

#[test]
fn a_forgotten_slot_leaves_the_caller_no_choice() {
    let mut panel = Panel::posted(1, false);
    let first = panel.batch().posted_slot + 32;
    // The table's window has moved past the first slot by different amounts; the answer is the same.
    for oldest in [first + 1, first + 400, first + 512] {
        let mut again = Panel::posted(1, false);
        again.set_slot_hashes(oldest, oldest + 511);
        again.desk.send(&[ix::seed_audits(again.address())], &[]).unwrap();
        assert_eq!(again.batch().seed_slot, first + 512);
    }
    panel.set_slot_hashes(first, first + 511);
    panel.desk.send(&[ix::seed_audits(panel.address())], &[]).unwrap();
    assert_eq!(panel.batch().seed_slot, first);
}

#[test]
fn only_the_slot_hashes_sysvar_draws_and_only_a_posted_batch() {
    let mut panel = Panel::posted(1, false);
    let newest = panel.batch().posted_slot + 40;
    panel.set_slot_hashes(newest - 511, newest);
    let seed = ix::seed_audits(panel.address());
    let sysvar = seed.accounts[2].pubkey;
    let forged = panel.desk.net.world.forge(&sysvar, None);
    assert_refused(panel.desk.send(&[swap(seed.clone(), sysvar, forged)], &[]), SettleError::AccountMismatch);
    let batch = panel.address();
    let config = panel.desk.config();
    for account in [batch, config] {
        let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let seed = swap(seed.clone(), account, forged);
        assert_refused(panel.desk.send(&[seed], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    pause_all(&mut panel, pause::POSTING);
    assert_refused(panel.desk.send(&[seed.clone()], &[]), SettleError::Paused);
    pause_all(&mut panel, 0);
    panel.desk.rewrite(batch, |batch: &mut Batch| (batch.state, batch.final_at) = (BatchState::Final, 1));
    assert_refused(panel.desk.net.world.send(&[seed], &[]), SettleError::BatchState);
}

#[test]
fn a_batch_that_nobody_drew_is_not_final() {
    let mut panel = Panel::posted(1, false);
    panel.desk.advance(CHALLENGE_S.into());
    assert_refused(panel.finalize(), SettleError::NotSeeded);
    panel.seed().unwrap();
    panel.finalize().unwrap();
}

// --- opening ---------------------------------------------------------------------------------------------------------

#[test]
fn a_draw_opens_the_receipt_it_hits_and_seats_eight() {
    let mut panel = Panel::seeded(9, false);
    let index = panel.hit(0);
    let receipt = panel.receipts[index];
    let signature = panel.desk.net.worker.sign_message(&receipt.to_bytes());
    let stage = ix::stage_receipt(panel.desk.payer(), &receipt, &signature.into());
    panel.desk.net.world.measure_all("settlement::stage_receipt", "first", &stage, &[]);
    let sent = panel.desk.measure("open_audit", "depth 3, 9 verifiers", panel.open_ix(0, index), &[]);
    let [event] = sent.log_events::<AuditOpened>().try_into().ok().unwrap();
    let audit = panel.audit(&event.audit);
    assert_eq!((audit.receipt_hash, audit.price_nc), (receipt.hash(), receipt.price_nc));
    assert_eq!((audit.output_hash, audit.evidence_hash), (receipt.output_hash, receipt.evidence_hash));
    assert_eq!((audit.worker, audit.operator), (panel.desk.net.worker.pubkey(), panel.desk.net.operator.pubkey()));
    assert_eq!((audit.n_chairs, audit.round, audit.judged), (8, 1, Outcome::Open));
    assert_eq!(audit.fee_aic, receipt.price_nc * AIC_PER_NC, "a verdict is paid what the request cost");
    assert_eq!(panel.batch().open_audits, 1);
    assert!(!panel.desk.net.world.exists(&seeds::find_staged(&receipt.hash()).0), "its rent went back");
    // The batch waits.
    panel.desk.advance(CHALLENGE_S.into());
    assert_refused(panel.finalize(), SettleError::CasesOpen);
}

#[test]
fn a_receipt_beside_the_draw_is_refused() {
    let mut panel = Panel::seeded(2, false);
    let hit = panel.hit(0);
    let other = (hit + 1) % PRICES.len();
    panel.stage(hit).unwrap();
    panel.stage(other).unwrap();
    assert_refused(panel.desk.send(&[panel.open_ix(0, other)], &[]), SettleError::DrawMismatch);
    // The right receipt at another place of the tree.
    let mut moved = panel.open_ix(0, other);
    let staged = panel.open_ix(0, hit).accounts[3].pubkey;
    moved.accounts[3].pubkey = staged;
    assert_refused(panel.desk.send(&[moved], &[]), SettleError::InvalidProof);
    assert_refused(panel.desk.send(&[panel.open_ix(16, hit)], &[]), SettleError::DrawMismatch);
    panel.desk.send(&[panel.open_ix(0, hit)], &[]).unwrap();
    // Once: the address is taken, and the staged receipt is gone.
    panel.stage(hit).unwrap();
    assert!(panel.desk.send(&[panel.open_ix(0, hit)], &[]).is_err());
}

#[test]
fn an_audit_needs_a_drawn_batch_in_its_window() {
    let mut panel = Panel::posted(2, false);
    panel.stage(0).unwrap();
    assert_refused(panel.desk.send(&[panel.open_ix(0, 0)], &[]), SettleError::NotSeeded);
    panel.seed().unwrap();
    let index = panel.hit(0);
    if index != 0 {
        panel.stage(index).unwrap();
    }
    pause_all(&mut panel, pause::DISPUTES);
    assert_refused(panel.desk.send(&[panel.open_ix(0, index)], &[]), SettleError::Paused);
    pause_all(&mut panel, 0);
    panel.desk.advance(CHALLENGE_S.into());
    assert_refused(panel.desk.send(&[panel.open_ix(0, index)], &[]), SettleError::ChallengeOver);
}

#[test]
fn a_receipt_of_another_batch_class_or_worker_is_refused() {
    let mut panel = Panel::seeded(2, false);
    let index = panel.hit(0);
    panel.stage(index).unwrap();
    let staged = seeds::find_staged(&panel.receipts[index].hash()).0;
    let open = panel.open_ix(0, index);
    let changes: [fn(&mut StagedReceipt); 2] = [|s| s.gateway = Pubkey::new_unique(), |s| s.epoch += 1];
    for change in changes {
        let kept: StagedReceipt = panel.desk.net.world.read(&staged);
        panel.desk.rewrite(staged, change);
        assert_refused(panel.desk.send(&[open.clone()], &[]), SettleError::ReceiptMismatch);
        panel.desk.rewrite(staged, |s: &mut StagedReceipt| (s.gateway, s.epoch) = (kept.gateway, kept.epoch));
    }
    let node = market::seeds::find_node(&panel.desk.net.worker.pubkey()).0;
    let worker = panel.desk.net.worker.pubkey();
    panel.desk.rewrite(node, |node: &mut Node| node.worker = Pubkey::new_unique());
    assert_refused(panel.desk.send(&[open.clone()], &[]), SettleError::NodeMismatch);
    panel.desk.rewrite(node, |node: &mut Node| node.worker = worker);
    let set = seeds::find_verifier_set(CLASS).0;
    panel.desk.send(&[ix::create_verifier_set(panel.desk.payer(), CLASS + 1)], &[]).unwrap();
    let other = swap(open.clone(), set, seeds::find_verifier_set(CLASS + 1).0);
    assert_refused(panel.desk.send(&[other], &[]), SettleError::AccountMismatch);
    let stager = swap(open.clone(), panel.desk.payer(), key("mallory").pubkey());
    assert!(panel.desk.send(&[stager], &[&key("mallory")]).is_err());
    for account in [panel.address(), staged, node, set] {
        let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let open = swap(open.clone(), account, forged);
        assert_refused(panel.desk.send(&[open], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    panel.desk.send(&[open], &[]).unwrap();
}

#[test]
fn only_what_the_worker_signed_is_staged() {
    let mut panel = Panel::seeded(1, false);
    let receipt = panel.receipts[0];
    let payer = panel.desk.payer();
    let by_gateway = panel.desk.net.gateway.sign_message(&receipt.to_bytes());
    assert!(panel.desk.send(&ix::stage_receipt(payer, &receipt, &by_gateway.into()), &[]).is_err());
    // The gateway's valid signature over the same bytes is no worker's.
    let check = signature_check(&panel.desk.net.gateway, &receipt.to_bytes());
    let signature = panel.desk.net.worker.sign_message(&receipt.to_bytes());
    let [_, stage] = ix::stage_receipt(payer, &receipt, &signature.into());
    assert_refused(panel.desk.send(&[check, stage.clone()], &[]), SettleError::SignatureCheck);
    assert_refused(panel.desk.send(&[stage.clone()], &[]), SettleError::SignatureCheck);
    // A receipt of another deployment, and another receipt's address.
    let foreign = Receipt { domain: [1; 8], ..receipt };
    let signature = panel.desk.net.worker.sign_message(&foreign.to_bytes());
    let foreign = ix::stage_receipt(payer, &foreign, &signature.into());
    assert_refused(panel.desk.send(&foreign, &[]), SettleError::ReceiptMismatch);
    let check = signature_check(&panel.desk.net.worker, &panel.receipts[1].to_bytes());
    assert_refused(panel.desk.send(&[check, stage.clone()], &[]), SettleError::ReceiptMismatch);
    let check = signature_check(&panel.desk.net.worker, &receipt.to_bytes()[..319]);
    assert_refused(panel.desk.send(&[check, stage], &[]), SettleError::MalformedMessage);
    pause_all(&mut panel, pause::DISPUTES);
    assert_refused(panel.stage(0), SettleError::Paused);
}

#[test]
fn an_unused_receipt_is_taken_back_by_who_staged_it() {
    let mut panel = Panel::seeded(1, false);
    panel.stage(0).unwrap();
    let hash = panel.receipts[0].hash();
    let unstage = ix::unstage_receipt(panel.desk.payer(), &hash);
    let mallory = key("mallory");
    let stolen = swap(unstage.clone(), panel.desk.payer(), mallory.pubkey());
    assert_refused(panel.desk.send(&[stolen], &[&mallory]), SettleError::Unauthorized);
    panel.desk.measure("unstage_receipt", "unused", unstage, &[]);
    assert!(!panel.desk.net.world.exists(&seeds::find_staged(&hash).0));
}

#[test]
fn a_trusted_worker_is_spared_most_draws() {
    let mut panel = Panel::seeded(2, false);
    let worker = panel.desk.net.worker.pubkey();
    let first = panel.open(0);
    panel.votes(&first, &[(0, true)]);
    let record = seeds::find_record(&worker).0;
    panel.desk.rewrite(record, |record: &mut WorkerRecord| (record.passes, record.passed) = (10_000, 10_000));
    let seed = panel.batch().seed;
    let mut opened = 0;
    for draw in 1..16 {
        let index = panel.hit(draw);
        panel.stage(index).unwrap();
        let spared = waybill_mechanism::audit::is_spared(&seed, draw, 10_000);
        let sent = panel.desk.send(&[panel.open_ix(draw, index)], &[]);
        if spared {
            assert_refused(sent, SettleError::DrawSpared);
            panel.desk.send(&[ix::unstage_receipt(panel.desk.payer(), &panel.receipts[index].hash())], &[]).unwrap();
        } else {
            sent.unwrap();
            opened += 1;
        }
    }
    assert!(opened <= 4, "1 % of the value instead of 20 %: {opened} of 15 draws");
}

// --- the set ---------------------------------------------------------------------------------------------------------

#[test]
fn nobody_judges_its_own_work_and_nobody_joins_a_panel_late() {
    let mut panel = Panel::prepared(2, false);
    // The worker's operator and the gateway sit too.
    for (index, owner) in
        [panel.desk.net.operator.insecure_clone(), panel.desk.net.gateway.insecure_clone()].into_iter().enumerate()
    {
        panel.desk.net.world.party(&owner, Role::Verifier);
        let node = key(&format!("own node {index}"));
        panel.desk.send(&[ix::join_verifiers(owner.pubkey(), node.pubkey(), CLASS)], &[&owner, &node]).unwrap();
    }
    panel.post();
    panel.add_verifier(7);
    panel.seed().unwrap();
    let audit = panel.open(0);
    let audit = panel.audit(&audit);
    assert_eq!(audit.n_chairs, 2);
    let mut seats = audit.seats[..2].to_vec();
    seats.sort_unstable();
    assert_eq!(seats, [0, 1]);
}

#[test]
fn a_class_without_verifiers_opens_no_audit() {
    let mut panel = Panel::seeded(0, false);
    let index = panel.hit(0);
    panel.stage(index).unwrap();
    assert_refused(panel.desk.send(&[panel.open_ix(0, index)], &[]), SettleError::NoVerifier);
}

#[test]
fn a_seat_needs_a_staked_verifier_and_both_signatures() {
    let mut panel = Panel::prepared(1, false);
    let (owner, node) = (key("newcomer"), key("newcomer node"));
    let party = panel.desk.net.world.party(&owner, Role::Verifier);
    let join = ix::join_verifiers(owner.pubkey(), node.pubkey(), CLASS);
    for missing in [&owner, &node] {
        let join = unsigned(join.clone(), missing.pubkey());
        assert_refused(panel.desk.send(&[join], &[&owner, &node]), ErrorCode::AccountNotSigner);
    }
    let provider = market::seeds::find_party(&panel.desk.net.operator.pubkey(), Role::Provider).0;
    let others = market::seeds::find_party(&panel.verifiers[0].owner.pubkey(), Role::Verifier).0;
    for wrong in [provider, others] {
        let join = swap(join.clone(), party, wrong);
        assert_refused(panel.desk.send(&[join], &[&owner, &node]), SettleError::AccountMismatch);
    }
    for account in [panel.desk.config(), market::seeds::find_config().0, party, seeds::find_verifier_set(CLASS).0] {
        let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let join = swap(join.clone(), account, forged);
        assert_refused(panel.desk.send(&[join], &[&owner, &node]), ErrorCode::AccountOwnedByWrongProgram);
    }
    let stake = panel.desk.net.world.read::<Party>(&party).stake;
    panel.desk.rewrite(party, |party: &mut Party| party.stake = stake - 1);
    assert_refused(panel.desk.send(&[join.clone()], &[&owner, &node]), SettleError::NotStaked);
    panel.desk.rewrite(party, |party: &mut Party| party.stake = stake);
    pause_all(&mut panel, pause::REGISTRATION);
    assert_refused(panel.desk.send(&[join.clone()], &[&owner, &node]), SettleError::Paused);
    let other_set = ix::create_verifier_set(panel.desk.payer(), CLASS + 1);
    assert_refused(panel.desk.send(&[other_set.clone()], &[]), SettleError::Paused);
    pause_all(&mut panel, 0);
    let class = market::seeds::find_det_class(CLASS + 1).0;
    let mislabelled = swap(other_set.clone(), class, market::seeds::find_det_class(CLASS).0);
    assert_refused(panel.desk.send(&[mislabelled], &[]), SettleError::AccountMismatch);
    panel.desk.rewrite(class, |class: &mut DetClass| class.enabled = false);
    assert_refused(panel.desk.send(&[other_set], &[]), SettleError::ClassDisabled);
    panel.desk.send(&[join.clone()], &[&owner, &node]).unwrap();
    assert_refused(panel.desk.send(&[join], &[&owner, &node]), SettleError::SeatTaken);
    assert!(panel.desk.send(&[ix::create_verifier_set(panel.desk.payer(), CLASS)], &[]).is_err(), "one set per class");
}

#[test]
fn a_seat_is_left_by_its_owner_or_for_want_of_stake() {
    let mut panel = Panel::prepared(2, false);
    let (owner, other) = (panel.verifiers[0].owner.insecure_clone(), panel.verifiers[1].owner.insecure_clone());
    let leave = ix::leave_verifiers(owner.pubkey(), CLASS, 0);
    let foreign = ix::leave_verifiers(other.pubkey(), CLASS, 0);
    assert_refused(panel.desk.send(&[foreign], &[&other]), SettleError::NotSeated);
    let hidden = unsigned(leave.clone(), owner.pubkey());
    assert_refused(panel.desk.send(&[hidden], &[]), ErrorCode::AccountNotSigner);
    let evict = ix::evict_verifier(other.pubkey(), CLASS, 1);
    assert_refused(panel.desk.send(&[evict.clone()], &[]), SettleError::StillFit);
    let party = market::seeds::find_party(&other.pubkey(), Role::Verifier).0;
    panel.desk.rewrite(party, |party: &mut Party| party.stake = 0);
    assert_refused(panel.desk.send(&[ix::evict_verifier(other.pubkey(), CLASS, 0)], &[]), SettleError::NotSeated);
    panel.desk.rewrite(party, |party: &mut Party| party.role = Role::Gateway);
    assert_refused(panel.desk.send(&[evict.clone()], &[]), SettleError::AccountMismatch);
    panel.desk.rewrite(party, |party: &mut Party| party.role = Role::Verifier);
    panel.desk.measure("evict_verifier", "seat 1", evict, &[]);
    panel.desk.measure("leave_verifiers", "seat 0", leave.clone(), &[&owner]);
    assert_refused(panel.desk.send(&[leave], &[&owner]), SettleError::NotSeated);
    let set: VerifierSet = panel.desk.net.world.read(&seeds::find_verifier_set(CLASS).0);
    assert_eq!(set.seated, 0);
}

// --- verdicts --------------------------------------------------------------------------------------------------------

#[test]
fn an_honest_worker_passes_and_its_verifier_is_paid() {
    let (mut panel, address) = Panel::opened(9, true);
    let verdict = panel.verdict(&address, 0, true);
    let node = panel.chair(&address, 0).node.insecure_clone();
    let signature = node.sign_message(&verdict.to_bytes());
    let submit = ix::submit_verdict(CLASS, &node.pubkey(), &verdict, &signature.into());
    let sent = panel.desk.net.world.measure_all("settlement::submit_verdict", "first", &submit, &[]);
    let [event] = sent.log_events::<VerdictSubmitted>().try_into().ok().unwrap();
    assert_eq!((event.pass, event.judged, event.verifier), (true, Outcome::Passed, node.pubkey()));
    assert_refused(panel.resolve(&address), SettleError::VerdictOpen);
    assert_refused(panel.pay(&address, 0), SettleError::AuditState);
    panel.desk.advance(VERDICT_S);
    let audit = panel.audit(&address);
    let sent = panel.desk.measure("resolve_audit", "passed", ix::resolve_audit(address, &audit), &[]);
    let [event] = sent.log_events::<AuditResolved>().try_into().ok().unwrap();
    assert_eq!((event.outcome, event.convicts, event.passes), (Outcome::Passed, false, 1));
    assert_eq!(event.rate_bps, 1_960);
    assert_refused(panel.resolve(&address), SettleError::AuditState);
    assert_eq!(panel.batch().open_audits, 0);

    let owner = panel.chair(&address, 0).owner.insecure_clone();
    let pay = ix::pay_verifier(address, &panel.audit(&address), 0, owner.pubkey());
    let sent = panel.desk.measure("pay_verifier", "first", pay, &[]);
    let [paid] = sent.cpi_events::<VerifierPaid>().try_into().ok().unwrap();
    assert_eq!((paid.aic, panel.desk.earned(&owner)), (audit.fee_aic, audit.fee_aic));
    assert_refused(panel.pay(&address, 0), SettleError::AlreadyDone);
    assert_refused(panel.forfeit(&address), SettleError::NothingToPunish);

    // The rent waits for the batch: a draw is audited once.
    let close = ix::close_audit(address, &panel.audit(&address));
    assert_refused(panel.desk.send(&[close.clone()], &[]), SettleError::BatchState);
    panel.desk.advance(CHALLENGE_S.into());
    panel.finalize().unwrap();
    let rent = panel.desk.net.world.svm.get_account(&address).unwrap().lamports;
    let thief = swap(close.clone(), panel.desk.payer(), key("mallory").pubkey());
    assert_refused(panel.desk.send(&[thief], &[]), SettleError::AccountMismatch);
    let before = panel.desk.net.world.svm.get_balance(&panel.desk.payer()).unwrap();
    panel.desk.measure("close_audit", "finished", close, &[]);
    assert_eq!(panel.desk.net.world.svm.get_balance(&panel.desk.payer()).unwrap() + 5_000 - before, rent);
}

#[test]
fn a_verdict_is_signed_by_the_chairs_node_about_this_audit() {
    let (mut panel, address) = Panel::opened(9, false);
    let verdict = panel.verdict(&address, 0, true);
    let node = panel.chair(&address, 0).node.insecure_clone();
    let other = panel.chair(&address, 1).node.insecure_clone();
    assert_refused(panel.submit_signed(&verdict, &other), SettleError::SignatureCheck);
    let owner = panel.chair(&address, 0).owner.insecure_clone();
    assert_refused(panel.submit_signed(&verdict, &owner), SettleError::SignatureCheck);
    for wrong in [
        Verdict { domain: [1; 8], ..verdict },
        Verdict { audit: [1; 32], ..verdict },
        Verdict { receipt_hash: [1; 32], ..verdict },
    ] {
        let mut submit =
            ix::submit_verdict(CLASS, &node.pubkey(), &wrong, &node.sign_message(&wrong.to_bytes()).into());
        submit[1].accounts[2].pubkey = address;
        assert_refused(panel.desk.send(&submit, &[]), SettleError::ReceiptMismatch);
    }
    let seatless = Verdict { chair: 8, ..verdict };
    assert_refused(panel.submit_signed(&seatless, &node), SettleError::NotSeated);
    let early = Verdict { chair: 1, ..verdict };
    assert_refused(panel.submit_signed(&early, &other), SettleError::AuditState);
    let [check, submit] =
        ix::submit_verdict(CLASS, &node.pubkey(), &verdict, &node.sign_message(&verdict.to_bytes()).into());
    assert_refused(panel.desk.send(&[submit.clone()], &[]), SettleError::SignatureCheck);
    let mut bad = verdict.to_bytes();
    bad[5] = 2;
    let bad_check = signature_check(&node, &bad);
    assert_refused(panel.desk.send(&[bad_check, submit.clone()], &[]), SettleError::MalformedMessage);
    // Another class's set, whose seat 0 nobody holds.
    panel.desk.send(&[ix::create_verifier_set(panel.desk.payer(), CLASS + 1)], &[]).unwrap();
    let set = seeds::find_verifier_set(CLASS).0;
    let other_set = swap(submit.clone(), set, seeds::find_verifier_set(CLASS + 1).0);
    assert_refused(panel.desk.send(&[check.clone(), other_set], &[]), SettleError::AccountMismatch);
    for account in [panel.desk.config(), set, address] {
        let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let submit = swap(submit.clone(), account, forged);
        assert_refused(panel.desk.send(&[check.clone(), submit], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    pause_all(&mut panel, pause::DISPUTES);
    assert_refused(panel.submit(&address, 0, true), SettleError::Paused);
    assert_refused(panel.resolve(&address), SettleError::Paused);
    pause_all(&mut panel, 0);
    panel.submit(&address, 0, true).unwrap();
    // Said once.
    assert_refused(panel.submit(&address, 0, true), SettleError::AuditState);
}

#[test]
fn silence_closes_the_audit_without_harm_to_the_worker() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.desk.advance(VERDICT_S);
    assert_refused(panel.submit(&address, 0, true), SettleError::VerdictLate);
    let sent = panel.resolve(&address).unwrap();
    let [event] = sent.log_events::<AuditResolved>().try_into().ok().unwrap();
    assert_eq!((event.outcome, event.convicts, event.votes[0]), (Outcome::Undecided, false, Vote::Absent));
    assert_eq!((panel.record().passes, panel.record().failed), (0, 0));
    assert_refused(panel.pay(&address, 0), SettleError::NotSeated);
    assert_eq!(panel.batch().open_audits, 0);
}

#[test]
fn in_shadow_mode_a_failed_audit_is_recorded_and_nothing_else() {
    let (mut panel, address) = Panel::opened(9, false);
    panel.votes(&address, &[(0, false), (1, false), (2, false)]);
    panel.desk.advance(2 * VERDICT_S);
    let sent = panel.resolve(&address).unwrap();
    let [event] = sent.log_events::<AuditResolved>().try_into().ok().unwrap();
    assert_eq!((event.outcome, event.convicts), (Outcome::Failed, false));
    assert_eq!((panel.record().passes, panel.record().failed), (0, 1));
    assert_refused(panel.forfeit(&address), SettleError::NothingToPunish);
    // Those who worked are paid.
    for chair in 0..3 {
        panel.pay(&address, chair).unwrap();
    }
    panel.desk.advance(CHALLENGE_S.into());
    panel.finalize().unwrap();
    assert_eq!(panel.batch().forfeited_nc, 0);
    let shard = panel.shard();
    panel.desk.claim(&shard, 0).unwrap();
    panel.desk.send(&[ix::close_audit(address, &panel.audit(&address))], &[]).unwrap();
}

// --- what follows ----------------------------------------------------------------------------------------------------

/// A worker convicted by the panel, the appeal window over and the outcome booked.
fn convicted() -> (Panel, Pubkey) {
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, false), (1, false), (2, true), (3, false)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    (panel, address)
}

#[test]
fn d07_the_line_of_a_failed_receipt_is_forfeited() {
    let (mut panel, address) = convicted();
    let audit = panel.audit(&address);
    assert!(audit.convicts());
    panel.desk.advance(CHALLENGE_S.into());
    assert_refused(panel.finalize(), SettleError::CasesOpen);
    let index = usize::from(audit.receipt >= 3);
    let (line, proof) = (panel.lines[index], panel.lines_tree.proof(index).unwrap());
    let (other, other_proof) = (panel.lines[1 - index], panel.lines_tree.proof(1 - index).unwrap());
    let forfeit = panel.forfeit_ix(&address, &other, &other_proof);
    assert_refused(panel.desk.send(&[forfeit], &[]), SettleError::LineMismatch);
    let forfeit = panel.forfeit_ix(&address, &line, &other_proof);
    assert_refused(panel.desk.send(&[forfeit], &[]), SettleError::InvalidProof);
    for wrong in [
        waybill_mechanism::message::Line { worker: [1; 32], ..line },
        waybill_mechanism::message::Line { epoch: line.epoch + 1, ..line },
    ] {
        let forfeit = panel.forfeit_ix(&address, &wrong, &proof);
        assert_refused(panel.desk.send(&[forfeit], &[]), SettleError::LineMismatch);
    }
    let mut malformed = panel.forfeit_ix(&address, &line, &proof);
    malformed.data[8] ^= 1;
    assert_refused(panel.desk.send(&[malformed], &[]), SettleError::MalformedMessage);
    let sent = panel.desk.measure("forfeit_line", "depth 1", panel.forfeit_ix(&address, &line, &proof), &[]);
    let [event] = sent.cpi_events::<LineForfeited>().try_into().ok().unwrap();
    assert_eq!((event.index, event.credits_nc), (line.index, line.credits_nc));
    assert_refused(panel.forfeit(&address), SettleError::AlreadyDone);
    panel.finalize().unwrap();
    let shard = panel.shard();
    assert_refused(panel.desk.claim(&shard, index), SettleError::AlreadyClaimed);
    panel.desk.claim(&shard, 1 - index).unwrap();
    // Everything is claimed or void: what the line was worth goes to insurance.
    let sent = panel.desk.send(&[panel.desk.sweep_batch_ix(panel.address())], &[]).unwrap();
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    assert_eq!(swept.remainder_aic, line.credits_nc * AIC_PER_NC);
}

#[test]
fn a_line_that_two_audits_void_is_void_once() {
    let (mut panel, first) = Panel::opened(9, true);
    let index = panel.hit(0);
    let second_draw = (1..16).find(|draw| (panel.hit(*draw) >= 3) == (index >= 3)).unwrap();
    let second = panel.open(second_draw);
    for address in [first, second] {
        panel.votes(&address, &[(0, false), (1, false), (2, false)]);
    }
    panel.desk.advance(2 * VERDICT_S);
    for address in [first, second] {
        panel.resolve(&address).unwrap();
        panel.forfeit(&address).unwrap();
    }
    let batch = panel.batch();
    assert_eq!((batch.open_audits, batch.claimed_lines), (0, 1));
    assert_eq!(batch.forfeited_nc, panel.lines[usize::from(index >= 3)].credits_nc);
}

#[test]
fn a_line_that_nobody_forfeits_does_not_hold_up_the_others_for_ever() {
    let (mut panel, address) = convicted();
    let waive = ix::waive_forfeit(address, &panel.audit(&address));
    let left = panel.audit(&address).deadline + 4 * VERDICT_S - panel.desk.now();
    panel.desk.advance(left - 1);
    assert_refused(panel.desk.send(&[waive.clone()], &[]), SettleError::AuditUnfinished);
    panel.desk.advance(1);
    panel.desk.measure("waive_forfeit", "first", waive.clone(), &[]);
    assert_refused(panel.desk.send(&[waive], &[]), SettleError::AlreadyDone);
    panel.finalize().unwrap();
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, true)]);
    panel.desk.advance(VERDICT_S);
    panel.resolve(&address).unwrap();
    let waive = ix::waive_forfeit(address, &panel.audit(&address));
    assert_refused(panel.desk.send(&[waive], &[]), SettleError::NothingToPunish);
}

#[test]
fn the_account_for_audits_pays_no_more_than_it_has() {
    let (mut panel, address) = Panel::opened(9, false);
    panel.votes(&address, &[(0, true)]);
    panel.desk.advance(VERDICT_S);
    panel.resolve(&address).unwrap();
    let vault = seeds::find_audits(&panel.desk.mint).0;
    let fee = panel.audit(&address).fee_aic;
    let owner = panel.chair(&address, 0).owner.insecure_clone();
    let pay = ix::pay_verifier(address, &panel.audit(&address), 0, owner.pubkey());
    let other = panel.desk.earnings(&panel.verifiers[8].owner.pubkey());
    let wrong = if other == panel.desk.earnings(&owner.pubkey()) {
        panel.desk.earnings(&panel.verifiers[7].owner.pubkey())
    } else {
        other
    };
    let to_other = swap(pay.clone(), panel.desk.earnings(&owner.pubkey()), wrong);
    assert_refused(panel.desk.send(&[to_other], &[]), SettleError::PayeeMismatch);
    let mine = panel.desk.net.world.aic_account(&key("mallory").pubkey());
    assert_refused(panel.desk.send(&[swap(pay.clone(), vault, mine)], &[]), ErrorCode::ConstraintSeeds);
    assert_refused(panel.desk.send(&[swap(pay.clone(), panel.desk.pool(), mine)], &[]), SettleError::AccountMismatch);
    let mut silent = pay.clone();
    let end = silent.data.len() - 1;
    silent.data[end] = 1;
    assert_refused(panel.desk.send(&[silent], &[]), SettleError::NotSeated);
    set_balance(&mut panel, vault, 0);
    assert_refused(panel.desk.net.world.send(&[pay.clone()], &[]), SettleError::InsufficientVault);
    set_balance(&mut panel, vault, fee - 7);
    panel.desk.net.world.send(&[pay], &[]).unwrap();
    assert_eq!(panel.desk.earned(&owner), fee - 7);
}

/// Writes a token balance as no program would let anyone.
fn set_balance(panel: &mut Panel, address: Pubkey, amount: u64) {
    let mut account = panel.desk.net.world.svm.get_account(&address).unwrap();
    account.data[64..72].copy_from_slice(&amount.to_le_bytes());
    panel.desk.net.world.svm.set_account(address, account).unwrap();
}

// --- penalties -------------------------------------------------------------------------------------------------------

fn stake_of(panel: &Panel, owner: &Pubkey, role: Role) -> u64 {
    panel.desk.net.world.read::<Party>(&market::seeds::find_party(owner, role).0).stake
}

/// Opens the AIC account of a wallet and returns its balance.
fn aic(panel: &mut Panel, owner: &Pubkey) -> u64 {
    let account = panel.desk.net.world.aic_account(owner);
    panel.desk.token(&account)
}

#[test]
fn d07_a_cheating_worker_loses_a_fifth_of_its_stake() {
    let (mut panel, address) = convicted();
    let (payer, operator) = (panel.desk.payer(), panel.desk.net.operator.pubkey());
    let accuser = panel.chair(&address, 0).owner.pubkey();
    let before = stake_of(&panel, &operator, Role::Provider);
    let (reported, insured) = (aic(&mut panel, &accuser), panel.desk.token(&insurance()));
    let supply = panel.desk.supply();
    let punish = ix::punish_worker(payer, address, &panel.audit(&address), &accuser);
    let sent = panel.desk.measure("punish_worker", "first offence", punish.clone(), &[]);
    let [event] = sent.log_events::<WorkerPunished>().try_into().ok().unwrap();
    let penalty = before / 5;
    assert_eq!((event.penalty_aic, before - stake_of(&panel, &operator, Role::Provider)), (penalty, penalty));
    assert_eq!(aic(&mut panel, &accuser) - reported, penalty * 4 / 10);
    assert_eq!(panel.desk.token(&insurance()) - insured, penalty * 3 / 10, "insurance stands for the consumer");
    assert_eq!(supply - panel.desk.supply(), penalty - penalty * 4 / 10 - penalty * 3 / 10);
    assert_refused(panel.desk.send(&[punish], &[]), SettleError::AlreadyDone);
    // The juror who let it pass was wrong too.
    let lenient = panel.chair(&address, 2).owner.pubkey();
    let before = stake_of(&panel, &lenient, Role::Verifier);
    aic(&mut panel, &operator);
    let punish = ix::punish_verifier(payer, address, &panel.audit(&address), 2, &lenient);
    panel.desk.measure("punish_verifier", "false verdict", punish.clone(), &[]);
    assert_eq!(before - stake_of(&panel, &lenient, Role::Verifier), before / 10);
    assert_refused(panel.desk.send(&[punish], &[]), SettleError::AlreadyDone);
    // Then everything is done, and the rent goes back.
    for chair in [0, 1, 3] {
        panel.pay(&address, chair).unwrap();
    }
    panel.forfeit(&address).unwrap();
    assert!(panel.audit(&address).is_finished());
}

#[test]
fn d07_a_false_accuser_is_slashed_and_the_worker_is_not() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, false), (1, true), (2, true)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    let (payer, operator) = (panel.desk.payer(), panel.desk.net.operator.pubkey());
    let accuser = panel.chair(&address, 0).owner.pubkey();
    aic(&mut panel, &accuser);
    let punish = ix::punish_worker(payer, address, &panel.audit(&address), &accuser);
    assert_refused(panel.desk.send(&[punish], &[]), SettleError::NothingToPunish);
    let before = stake_of(&panel, &accuser, Role::Verifier);
    let harmed = aic(&mut panel, &operator);
    let punish = ix::punish_verifier(payer, address, &panel.audit(&address), 0, &accuser);
    let sent = panel.desk.send(&[punish], &[]).unwrap();
    let [event] = sent.log_events::<VerifierPunished>().try_into().ok().unwrap();
    assert_eq!((event.offence, event.penalty_aic), (Offence::FalseVerdict, before / 10));
    assert_eq!(aic(&mut panel, &operator) - harmed, before / 10 * 3 / 10, "the accused gets the harmed party's part");
    assert_eq!(panel.record().passes, 1);
    panel.desk.advance(CHALLENGE_S.into());
    panel.finalize().unwrap();
    let shard = panel.shard();
    panel.desk.claim(&shard, 0).unwrap();
}

#[test]
fn a_silent_verifier_is_a_no_show() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.desk.advance(VERDICT_S);
    panel.resolve(&address).unwrap();
    let silent = panel.chair(&address, 0).owner.pubkey();
    let operator = panel.desk.net.operator.pubkey();
    aic(&mut panel, &operator);
    let punish = ix::punish_verifier(panel.desk.payer(), address, &panel.audit(&address), 0, &silent);
    let sent = panel.desk.send(&[punish], &[]).unwrap();
    let [event] = sent.log_events::<VerifierPunished>().try_into().ok().unwrap();
    assert_eq!(event.offence, Offence::NoShow);
    let party: Party = panel.desk.net.world.read(&market::seeds::find_party(&silent, Role::Verifier).0);
    assert!(party.jailed_until > panel.desk.now());
}

#[test]
fn in_shadow_mode_nobody_is_slashed() {
    let (mut panel, address) = Panel::opened(9, false);
    panel.votes(&address, &[(0, false), (1, false), (2, false)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    let accuser = panel.chair(&address, 0).owner.pubkey();
    let operator = panel.desk.net.operator.pubkey();
    aic(&mut panel, &accuser);
    aic(&mut panel, &operator);
    let audit = panel.audit(&address);
    let worker = ix::punish_worker(panel.desk.payer(), address, &audit, &accuser);
    assert_refused(panel.desk.send(&[worker], &[]), SettleError::NothingToPunish);
    for chair in 0..8 {
        let owner = panel.chair(&address, chair).owner.pubkey();
        let verifier = ix::punish_verifier(panel.desk.payer(), address, &audit, chair, &owner);
        assert_refused(panel.desk.send(&[verifier], &[]), SettleError::NothingToPunish);
    }
}

#[test]
fn the_reporter_of_a_contested_pass_is_the_contester() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, true)]);
    appeal(&mut panel, &address, "challenger").unwrap();
    panel.votes(&address, &[(1, false), (2, false)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    let audit = panel.audit(&address);
    let (payer, lazy) = (panel.desk.payer(), panel.chair(&address, 0).owner.pubkey());
    aic(&mut panel, &lazy);
    let by_the_lazy = ix::punish_worker(payer, address, &audit, &lazy);
    assert_refused(panel.desk.send(&[by_the_lazy], &[]), SettleError::TokenMismatch);
    let challenger = key("challenger").pubkey();
    let before = aic(&mut panel, &challenger);
    panel.desk.send(&[ix::punish_worker(payer, address, &audit, &challenger)], &[]).unwrap();
    assert!(aic(&mut panel, &challenger) > before);
    panel.desk.send(&[ix::punish_verifier(payer, address, &audit, 0, &lazy)], &[]).unwrap();
}

#[test]
fn penalties_hit_the_guilty_and_pay_the_right_accounts() {
    let (mut panel, address) = convicted();
    let (payer, operator) = (panel.desk.payer(), panel.desk.net.operator.pubkey());
    let accuser = panel.chair(&address, 0).owner.pubkey();
    let lenient = panel.chair(&address, 2).owner.pubkey();
    for owner in [operator, accuser, lenient] {
        aic(&mut panel, &owner);
    }
    let audit = panel.audit(&address);
    let worker = ix::punish_worker(payer, address, &audit, &accuser);
    let verifier = ix::punish_verifier(payer, address, &audit, 2, &lenient);
    let (mint, mallory) = (panel.desk.mint, key("mallory").pubkey());
    let mine = panel.desk.net.world.aic_account(&mallory);
    let reporter = anchor_spl::associated_token::get_associated_token_address(&accuser, &mint);
    assert_refused(panel.desk.send(&[swap(worker.clone(), reporter, mine)], &[]), SettleError::TokenMismatch);
    assert_refused(panel.desk.send(&[swap(worker.clone(), insurance(), mine)], &[]), SettleError::AccountMismatch);
    assert_refused(panel.desk.send(&[swap(verifier.clone(), insurance(), mine)], &[]), SettleError::AccountMismatch);
    let vault = seeds::find_audits(&mint).0;
    assert_refused(panel.desk.send(&[swap(verifier.clone(), vault, mine)], &[]), SettleError::AccountMismatch);
    // Somebody else's stake.
    let party = market::seeds::find_party(&operator, Role::Provider).0;
    let other = market::seeds::find_party(&panel.desk.net.gateway.pubkey(), Role::Gateway).0;
    assert_refused(panel.desk.send(&[swap(worker.clone(), party, other)], &[]), SettleError::AccountMismatch);
    let party = market::seeds::find_party(&lenient, Role::Verifier).0;
    let other = market::seeds::find_party(&accuser, Role::Verifier).0;
    assert_refused(panel.desk.send(&[swap(verifier.clone(), party, other)], &[]), SettleError::AccountMismatch);
    // A chair that was right.
    let right = ix::punish_verifier(payer, address, &audit, 1, &panel.chair(&address, 1).owner.pubkey());
    assert_refused(panel.desk.send(&[right], &[]), SettleError::NothingToPunish);
    // Another class's set.
    panel.desk.send(&[ix::create_verifier_set(payer, CLASS + 1)], &[]).unwrap();
    let (set, other) = (seeds::find_verifier_set(CLASS).0, seeds::find_verifier_set(CLASS + 1).0);
    for punish in [&worker, &verifier] {
        assert_refused(panel.desk.send(&[swap(punish.clone(), set, other)], &[]), SettleError::AccountMismatch);
        for account in [panel.desk.config(), set, address] {
            let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
            let punish = swap(punish.clone(), account, forged);
            assert_refused(panel.desk.send(&[punish], &[]), ErrorCode::AccountOwnedByWrongProgram);
        }
        let slasher = swap(punish.clone(), seeds::find_slasher().0, mallory);
        assert_refused(panel.desk.send(&[slasher], &[]), ErrorCode::ConstraintSeeds);
    }
    panel.desk.send(&[worker, verifier], &[]).unwrap();
}

fn insurance() -> Pubkey {
    coin::seeds::find_vault(coin::state::VaultKind::Insurance).0
}

// --- appeals ---------------------------------------------------------------------------------------------------------

/// $1 at the harness's rate.
const BOND_AIC: u64 = 1_000_000_000 * AIC_PER_NC;

fn appeal(panel: &mut Panel, address: &Pubkey, name: &str) -> Result<waybill_tests::Sent, waybill_tests::Refused> {
    let appellant = key(name);
    panel.desk.net.world.fund(&appellant.pubkey(), BOND_AIC);
    panel.desk.send(&[ix::appeal_audit(appellant.pubkey(), *address)], &[&appellant])
}

#[test]
fn a_lazy_pass_is_contested_and_the_contest_gets_its_bond_back() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, true)]);
    let challenger = key("challenger");
    let source = panel.desk.net.world.fund(&challenger.pubkey(), BOND_AIC);
    let contest = ix::appeal_audit(challenger.pubkey(), address);
    panel.desk.measure("appeal_audit", "first verdict", contest, &[&challenger]);
    assert_eq!(panel.desk.token(&source), 0);
    panel.votes(&address, &[(1, false), (3, false)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    assert!(panel.audit(&address).convicts() && panel.audit(&address).is_wrong(0));
    let settle = ix::settle_bond(address, &challenger.pubkey(), 0);
    let sent = panel.desk.measure("settle_bond", "returned", settle.clone(), &[]);
    let [event] = sent.cpi_events::<BondSettled>().try_into().ok().unwrap();
    assert!(event.returned);
    assert_eq!(panel.desk.token(&source), BOND_AIC);
    assert_refused(panel.desk.send(&[settle], &[]), SettleError::AlreadyDone);
    assert_refused(panel.pay(&address, 0), SettleError::NotSeated);
}

#[test]
fn a_contest_of_a_true_pass_loses_its_bond() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, true)]);
    appeal(&mut panel, &address, "challenger").unwrap();
    let settle = ix::settle_bond(address, &key("challenger").pubkey(), 0);
    assert_refused(panel.desk.send(&[settle.clone()], &[]), SettleError::AuditState);
    panel.votes(&address, &[(1, true), (2, true)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    let vault = seeds::find_audits(&panel.desk.mint).0;
    let before = panel.desk.token(&vault);
    let mine = panel.desk.net.world.aic_account(&key("mallory").pubkey());
    let theirs = settle.accounts[4].pubkey;
    assert_refused(panel.desk.send(&[swap(settle.clone(), theirs, mine)], &[]), SettleError::TokenMismatch);
    assert_refused(panel.desk.send(&[swap(settle.clone(), vault, mine)], &[]), SettleError::AccountMismatch);
    assert_refused(
        panel.desk.send(&[swap(settle.clone(), panel.desk.pool(), mine)], &[]),
        SettleError::AccountMismatch,
    );
    // A held bond keeps the audit.
    panel.desk.advance(10 * VERDICT_S);
    panel.finalize().unwrap();
    let close = ix::close_audit(address, &panel.audit(&address));
    assert_refused(panel.desk.send(&[close.clone()], &[]), SettleError::AuditUnfinished);
    let sent = panel.desk.send(&[settle], &[]).unwrap();
    let [event] = sent.cpi_events::<BondSettled>().try_into().ok().unwrap();
    assert!(!event.returned);
    assert_eq!(panel.desk.token(&vault) - before, BOND_AIC);
    // Unpaid verdicts do not keep it: four verdict times are over.
    panel.desk.send(&[close], &[]).unwrap();
}

#[test]
fn an_appeal_asks_four_more_and_their_majority_stands() {
    let (mut panel, address) = Panel::opened(9, true);
    panel.votes(&address, &[(0, false), (1, false), (2, false)]);
    appeal(&mut panel, &address, "operator's friend").unwrap();
    assert_refused(panel.submit(&address, 3, true), SettleError::AuditState);
    panel.votes(&address, &[(4, true), (5, true), (6, true), (7, true)]);
    panel.resolve(&address).unwrap();
    let audit = panel.audit(&address);
    assert_eq!((audit.judged, audit.convicts()), (Outcome::Passed, false));
    assert!((0..3).all(|chair| audit.is_wrong(chair)) && (4..8).all(|chair| audit.is_owed(chair)));
    assert_eq!(panel.record().passes, 1);
    panel.desk.send(&[ix::settle_bond(address, &key("operator's friend").pubkey(), 1)], &[]).unwrap();
    assert_eq!(aic(&mut panel, &key("operator's friend").pubkey()), BOND_AIC);
}

#[test]
fn an_appeal_comes_in_time_with_its_bond_and_only_where_more_can_be_asked() {
    let (mut panel, address) = Panel::opened(9, true);
    assert_refused(appeal(&mut panel, &address, "early"), SettleError::AuditState);
    panel.votes(&address, &[(0, true)]);
    let poor = key("poor");
    let empty = panel.desk.net.world.aic_account(&poor.pubkey());
    assert!(panel.desk.send(&[ix::appeal_audit(poor.pubkey(), address)], &[&poor]).is_err(), "no bond");
    let rich = panel.desk.net.world.fund(&key("rich").pubkey(), BOND_AIC);
    let others = swap(ix::appeal_audit(poor.pubkey(), address), empty, rich);
    assert_refused(panel.desk.send(&[others], &[&poor]), SettleError::TokenMismatch);
    let contest = ix::appeal_audit(key("rich").pubkey(), address);
    let hidden = unsigned(contest.clone(), key("rich").pubkey());
    assert_refused(panel.desk.send(&[hidden], &[]), ErrorCode::AccountNotSigner);
    assert_refused(
        panel.desk.send(&[swap(contest.clone(), panel.desk.pool(), empty)], &[&key("rich")]),
        SettleError::AccountMismatch,
    );
    for account in [panel.desk.config(), coin::seeds::find_rate().0, address] {
        let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let contest = swap(contest.clone(), account, forged);
        assert_refused(panel.desk.send(&[contest], &[&key("rich")]), ErrorCode::AccountOwnedByWrongProgram);
    }
    pause_all(&mut panel, pause::DISPUTES);
    assert_refused(panel.desk.send(&[contest.clone()], &[&key("rich")]), SettleError::Paused);
    pause_all(&mut panel, 0);
    panel.desk.advance(VERDICT_S);
    assert_refused(panel.desk.send(&[contest], &[&key("rich")]), SettleError::VerdictLate);
    // Three verifiers make no panel besides the first.
    let (mut panel, address) = Panel::opened(3, true);
    panel.votes(&address, &[(0, true)]);
    assert_refused(appeal(&mut panel, &address, "challenger"), SettleError::NotAppealable);
}

// --- planted receipts ------------------------------------------------------------------------------------------------

/// A panel whose worker belongs to the params authority, with a commitment to every receipt before the draw.
fn planted() -> (Panel, Pubkey, [u8; 32]) {
    let mut panel = Panel::posted(9, true);
    let admin = panel.desk.net.world.admin.insecure_clone();
    let node = market::seeds::find_node(&panel.desk.net.worker.pubkey()).0;
    panel.desk.rewrite(node, |node: &mut Node| node.operator = admin.pubkey());
    let salt = [7; 32];
    for receipt in panel.receipts.clone() {
        let commit = ix::commit_canary(panel.desk.payer(), admin.pubkey(), canary_commitment(&receipt.hash(), &salt));
        panel.desk.measure("commit_canary", "first", commit, &[&admin]);
    }
    panel.seed().unwrap();
    let address = panel.open(0);
    (panel, address, salt)
}

#[test]
fn a_planted_receipt_catches_the_lazy_verifier_and_harms_no_worker() {
    let (mut panel, address, salt) = planted();
    let admin = panel.desk.net.world.admin.insecure_clone();
    panel.votes(&address, &[(0, true)]);
    panel.desk.net.world.fund(&admin.pubkey(), BOND_AIC);
    panel.desk.send(&[ix::appeal_audit(admin.pubkey(), address)], &[&admin]).unwrap();
    panel.votes(&address, &[(1, false), (2, false)]);
    let reveal = ix::reveal_canary(admin.pubkey(), address, &panel.audit(&address), panel.desk.payer(), salt);
    panel.desk.measure("reveal_canary", "first", reveal, &[&admin]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    let audit = panel.audit(&address);
    assert!(audit.is_wrong(0) && !audit.convicts() && audit.canary);
    assert_eq!(panel.record().failed, 0);
    assert_eq!(panel.batch().open_audits, 0);
    assert_refused(panel.forfeit(&address), SettleError::NothingToPunish);
}

#[test]
fn a_cheat_that_was_caught_cannot_be_declared_a_test() {
    let (mut panel, address, salt) = planted();
    let admin = panel.desk.net.world.admin.insecure_clone();
    let audit = panel.audit(&address);
    let reveal = ix::reveal_canary(admin.pubkey(), address, &audit, panel.desk.payer(), salt);
    let mallory = key("mallory");
    let stranger = swap(reveal.clone(), admin.pubkey(), mallory.pubkey());
    assert_refused(panel.desk.send(&[stranger], &[&mallory]), SettleError::Unauthorized);
    let commit = ix::commit_canary(panel.desk.payer(), mallory.pubkey(), [1; 32]);
    assert_refused(panel.desk.send(&[commit], &[&mallory]), SettleError::Unauthorized);
    let mut other_salt = reveal.clone();
    other_salt.data[8] ^= 1;
    assert_refused(panel.desk.send(&[other_salt], &[&admin]), SettleError::CanaryMismatch);
    let thief = swap(reveal.clone(), panel.desk.payer(), mallory.pubkey());
    assert_refused(panel.desk.send(&[thief], &[&admin]), SettleError::AccountMismatch);
    // Committed after the draw.
    let canary = reveal.accounts[2].pubkey;
    panel.desk.rewrite(canary, |canary: &mut Canary| canary.slot = audit.seed_slot);
    assert_refused(panel.desk.send(&[reveal.clone()], &[&admin]), SettleError::CanaryMismatch);
    panel.desk.rewrite(canary, |canary: &mut Canary| canary.slot = audit.seed_slot - 1);
    // Somebody else's worker.
    panel.desk.rewrite(address, |audit: &mut Audit| audit.operator = Pubkey::new_unique());
    assert_refused(panel.desk.send(&[reveal.clone()], &[&admin]), SettleError::CanaryMismatch);
    panel.desk.rewrite(address, |audit: &mut Audit| audit.operator = admin.pubkey());
    // After the outcome is booked.
    panel.votes(&address, &[(0, false), (1, false), (2, false)]);
    panel.desk.advance(2 * VERDICT_S);
    panel.resolve(&address).unwrap();
    assert_refused(panel.desk.send(&[reveal], &[&admin]), SettleError::AuditState);
}

#[test]
fn s02_resolving_takes_the_audits_own_accounts() {
    let (mut panel, address) = Panel::opened(9, false);
    panel.votes(&address, &[(0, true)]);
    panel.desk.advance(VERDICT_S);
    let resolve = ix::resolve_audit(address, &panel.audit(&address));
    let record = seeds::find_record(&panel.desk.net.worker.pubkey()).0;
    for account in [panel.desk.config(), panel.address(), address, record] {
        let forged = panel.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let resolve = swap(resolve.clone(), account, forged);
        assert_refused(panel.desk.send(&[resolve], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    let other = panel.desk.net.world.forge(&panel.address(), None);
    assert_refused(
        panel.desk.net.world.send(&[swap(resolve.clone(), panel.address(), other)], &[]),
        SettleError::AccountMismatch,
    );
    let other = panel.desk.net.world.forge(&record, None);
    panel.desk.rewrite(other, |record: &mut WorkerRecord| record.worker = Pubkey::new_unique());
    assert_refused(
        panel.desk.net.world.send(&[swap(resolve.clone(), record, other)], &[]),
        SettleError::AccountMismatch,
    );
    assert!(resolve.accounts.iter().all(|meta: &AccountMeta| !meta.is_signer), "anyone resolves");
}
