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

use crate::{desk::*, hearing::*};

fn pause_all(hearing: &mut Hearing, flags: u16) {
    let config = hearing.desk.config();
    hearing.desk.rewrite(config, |config: &mut SettleConfig| config.pause_flags = flags);
}

// --- the draw --------------------------------------------------------------------------------------------------------

#[test]
fn the_seed_is_the_hash_of_the_slot_32_after_the_posting() {
    let mut hearing = Hearing::posted(1, false);
    let posted = hearing.batch().posted_slot;
    let seed = ix::seed_audits(hearing.address());
    hearing.set_slot_hashes(posted + 31 - 511, posted + 31);
    assert_refused(hearing.desk.send(std::slice::from_ref(&seed), &[]), SettleError::SeedTooEarly);
    hearing.set_slot_hashes(posted + 200 - 511, posted + 200);
    let sent = hearing.desk.measure("seed_audits", "512 slot hashes", seed.clone(), &[]);
    let [event] = sent.log_events::<AuditsSeeded>().try_into().ok().unwrap();
    let batch = hearing.batch();
    let hash = [(posted + 32) as u8; 32];
    assert_eq!(batch.seed, audit_seed(&hearing.address().to_bytes(), &batch.receipts_root, &hash));
    assert_eq!((batch.seed_slot, batch.draws, event.seed), (posted + 32, 16, batch.seed));
    // Drawn once: no later slot changes it.
    hearing.set_slot_hashes(posted + 201 - 511, posted + 201);
    assert_refused(hearing.desk.send(&[seed], &[]), SettleError::AlreadySeeded);
}

#[test]
fn a_forgotten_slot_leaves_the_caller_no_choice() {
    let mut hearing = Hearing::posted(1, false);
    let first = hearing.batch().posted_slot + 32;
    // The table's window has moved past the first slot by different amounts; the answer is the same.
    for oldest in [first + 1, first + 400, first + 512] {
        let mut again = Hearing::posted(1, false);
        again.set_slot_hashes(oldest, oldest + 511);
        again.desk.send(&[ix::seed_audits(again.address())], &[]).unwrap();
        assert_eq!(again.batch().seed_slot, first + 512);
    }
    hearing.set_slot_hashes(first, first + 511);
    hearing.desk.send(&[ix::seed_audits(hearing.address())], &[]).unwrap();
    assert_eq!(hearing.batch().seed_slot, first);
}

#[test]
fn only_the_slot_hashes_sysvar_draws_and_only_a_posted_batch() {
    let mut hearing = Hearing::posted(1, false);
    let newest = hearing.batch().posted_slot + 40;
    hearing.set_slot_hashes(newest - 511, newest);
    let seed = ix::seed_audits(hearing.address());
    let sysvar = seed.accounts[2].pubkey;
    let forged = hearing.desk.net.world.forge(&sysvar, None);
    assert_refused(hearing.desk.send(&[swap(seed.clone(), sysvar, forged)], &[]), SettleError::AccountMismatch);
    let batch = hearing.address();
    let config = hearing.desk.config();
    for account in [batch, config] {
        let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let seed = swap(seed.clone(), account, forged);
        assert_refused(hearing.desk.send(&[seed], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    pause_all(&mut hearing, pause::POSTING);
    assert_refused(hearing.desk.send(std::slice::from_ref(&seed), &[]), SettleError::Paused);
    pause_all(&mut hearing, 0);
    hearing.desk.rewrite(batch, |batch: &mut Batch| (batch.state, batch.final_at) = (BatchState::Final, 1));
    assert_refused(hearing.desk.net.world.send(&[seed], &[]), SettleError::BatchState);
}

#[test]
fn a_batch_that_nobody_drew_is_not_final() {
    let mut hearing = Hearing::posted(1, false);
    hearing.desk.advance(CHALLENGE_S.into());
    assert_refused(hearing.finalize(), SettleError::NotSeeded);
    hearing.seed().unwrap();
    hearing.finalize().unwrap();
}

// --- opening ---------------------------------------------------------------------------------------------------------

#[test]
fn a_draw_opens_the_receipt_it_hits_and_seats_eight() {
    let mut hearing = Hearing::seeded(9, false);
    let index = hearing.hit(0);
    let receipt = hearing.receipts[index];
    let signature = hearing.desk.net.worker.sign_message(&receipt.to_bytes());
    let stage = ix::stage_receipt(hearing.desk.payer(), &receipt, &signature.into());
    hearing.desk.net.world.measure_all("settlement::stage_receipt", "first", &stage, &[]);
    let sent = hearing.desk.measure("open_audit", "depth 3, 9 verifiers", hearing.open_ix(0, index), &[]);
    let [event] = sent.log_events::<AuditOpened>().try_into().ok().unwrap();
    let audit = hearing.audit(&event.audit);
    assert_eq!((audit.receipt_hash, audit.price_nc), (receipt.hash(), receipt.price_nc));
    assert_eq!((audit.output_hash, audit.evidence_hash), (receipt.output_hash, receipt.evidence_hash));
    assert_eq!((audit.worker, audit.operator), (hearing.desk.net.worker.pubkey(), hearing.desk.net.operator.pubkey()));
    assert_eq!((audit.n_chairs, audit.round, audit.judged), (8, 1, Outcome::Open));
    assert_eq!(audit.fee_aic, receipt.price_nc * AIC_PER_NC, "a verdict is paid what the request cost");
    assert_eq!(hearing.batch().open_audits, 1);
    assert!(!hearing.desk.net.world.exists(&seeds::find_staged(&receipt.hash()).0), "its rent went back");
    // The batch waits.
    hearing.desk.advance(CHALLENGE_S.into());
    assert_refused(hearing.finalize(), SettleError::CasesOpen);
}

#[test]
fn a_receipt_beside_the_draw_is_refused() {
    let mut hearing = Hearing::seeded(2, false);
    let hit = hearing.hit(0);
    let other = (hit + 1) % PRICES.len();
    hearing.stage(hit).unwrap();
    hearing.stage(other).unwrap();
    assert_refused(hearing.desk.send(&[hearing.open_ix(0, other)], &[]), SettleError::DrawMismatch);
    // The right receipt at another place of the tree.
    let mut moved = hearing.open_ix(0, other);
    let staged = hearing.open_ix(0, hit).accounts[3].pubkey;
    moved.accounts[3].pubkey = staged;
    assert_refused(hearing.desk.send(&[moved], &[]), SettleError::InvalidProof);
    assert_refused(hearing.desk.send(&[hearing.open_ix(16, hit)], &[]), SettleError::DrawMismatch);
    hearing.desk.send(&[hearing.open_ix(0, hit)], &[]).unwrap();
    // Once: the address is taken, and the staged receipt is gone.
    hearing.stage(hit).unwrap();
    assert!(hearing.desk.send(&[hearing.open_ix(0, hit)], &[]).is_err());
}

#[test]
fn an_audit_needs_a_drawn_batch_in_its_window() {
    let mut hearing = Hearing::posted(2, false);
    hearing.stage(0).unwrap();
    assert_refused(hearing.desk.send(&[hearing.open_ix(0, 0)], &[]), SettleError::NotSeeded);
    hearing.seed().unwrap();
    let index = hearing.hit(0);
    if index != 0 {
        hearing.stage(index).unwrap();
    }
    pause_all(&mut hearing, pause::DISPUTES);
    assert_refused(hearing.desk.send(&[hearing.open_ix(0, index)], &[]), SettleError::Paused);
    pause_all(&mut hearing, 0);
    hearing.desk.advance(CHALLENGE_S.into());
    assert_refused(hearing.desk.send(&[hearing.open_ix(0, index)], &[]), SettleError::ChallengeOver);
}

#[test]
fn a_receipt_of_another_batch_class_or_worker_is_refused() {
    let mut hearing = Hearing::seeded(2, false);
    let index = hearing.hit(0);
    hearing.stage(index).unwrap();
    let staged = seeds::find_staged(&hearing.receipts[index].hash()).0;
    let open = hearing.open_ix(0, index);
    let changes: [fn(&mut StagedReceipt); 2] = [|s| s.gateway = Pubkey::new_unique(), |s| s.epoch += 1];
    for change in changes {
        let kept: StagedReceipt = hearing.desk.net.world.read(&staged);
        hearing.desk.rewrite(staged, change);
        assert_refused(hearing.desk.send(std::slice::from_ref(&open), &[]), SettleError::ReceiptMismatch);
        hearing.desk.rewrite(staged, |s: &mut StagedReceipt| (s.gateway, s.epoch) = (kept.gateway, kept.epoch));
    }
    let node = market::seeds::find_node(&hearing.desk.net.worker.pubkey()).0;
    let worker = hearing.desk.net.worker.pubkey();
    hearing.desk.rewrite(node, |node: &mut Node| node.worker = Pubkey::new_unique());
    assert_refused(hearing.desk.send(std::slice::from_ref(&open), &[]), SettleError::NodeMismatch);
    hearing.desk.rewrite(node, |node: &mut Node| node.worker = worker);
    let set = seeds::find_verifier_set(CLASS).0;
    hearing.desk.send(&[ix::create_verifier_set(hearing.desk.payer(), CLASS + 1)], &[]).unwrap();
    let other = swap(open.clone(), set, seeds::find_verifier_set(CLASS + 1).0);
    assert_refused(hearing.desk.send(&[other], &[]), SettleError::AccountMismatch);
    let stager = swap(open.clone(), hearing.desk.payer(), key("mallory").pubkey());
    assert!(hearing.desk.send(&[stager], &[&key("mallory")]).is_err());
    for account in [hearing.address(), staged, node, set] {
        let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let open = swap(open.clone(), account, forged);
        assert_refused(hearing.desk.send(&[open], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    hearing.desk.send(&[open], &[]).unwrap();
}

#[test]
fn only_what_the_worker_signed_is_staged() {
    let mut hearing = Hearing::seeded(1, false);
    let receipt = hearing.receipts[0];
    let payer = hearing.desk.payer();
    let by_gateway = hearing.desk.net.gateway.sign_message(&receipt.to_bytes());
    assert!(hearing.desk.send(&ix::stage_receipt(payer, &receipt, &by_gateway.into()), &[]).is_err());
    // The gateway's valid signature over the same bytes is no worker's.
    let check = signature_check(&hearing.desk.net.gateway, &receipt.to_bytes());
    let signature = hearing.desk.net.worker.sign_message(&receipt.to_bytes());
    let [_, stage] = ix::stage_receipt(payer, &receipt, &signature.into());
    assert_refused(hearing.desk.send(&[check, stage.clone()], &[]), SettleError::SignatureCheck);
    assert_refused(hearing.desk.send(std::slice::from_ref(&stage), &[]), SettleError::SignatureCheck);
    // A receipt of another deployment, and another receipt's address.
    let foreign = Receipt { domain: [1; 8], ..receipt };
    let signature = hearing.desk.net.worker.sign_message(&foreign.to_bytes());
    let foreign = ix::stage_receipt(payer, &foreign, &signature.into());
    assert_refused(hearing.desk.send(&foreign, &[]), SettleError::ReceiptMismatch);
    let check = signature_check(&hearing.desk.net.worker, &hearing.receipts[1].to_bytes());
    assert_refused(hearing.desk.send(&[check, stage.clone()], &[]), SettleError::ReceiptMismatch);
    let check = signature_check(&hearing.desk.net.worker, &receipt.to_bytes()[..319]);
    assert_refused(hearing.desk.send(&[check, stage], &[]), SettleError::MalformedMessage);
    pause_all(&mut hearing, pause::DISPUTES);
    assert_refused(hearing.stage(0), SettleError::Paused);
}

#[test]
fn an_unused_receipt_is_taken_back_by_who_staged_it() {
    let mut hearing = Hearing::seeded(1, false);
    hearing.stage(0).unwrap();
    let hash = hearing.receipts[0].hash();
    let unstage = ix::unstage_receipt(hearing.desk.payer(), &hash);
    let mallory = key("mallory");
    let stolen = swap(unstage.clone(), hearing.desk.payer(), mallory.pubkey());
    assert_refused(hearing.desk.send(&[stolen], &[&mallory]), SettleError::Unauthorized);
    hearing.desk.measure("unstage_receipt", "unused", unstage, &[]);
    assert!(!hearing.desk.net.world.exists(&seeds::find_staged(&hash).0));
}

#[test]
fn a_trusted_worker_is_spared_most_draws() {
    let mut hearing = Hearing::seeded(2, false);
    let worker = hearing.desk.net.worker.pubkey();
    let first = hearing.open(0);
    hearing.votes(&first, &[(0, true)]);
    let record = seeds::find_record(&worker).0;
    hearing.desk.rewrite(record, |record: &mut WorkerRecord| (record.passes, record.passed) = (10_000, 10_000));
    let seed = hearing.batch().seed;
    let mut opened = 0;
    for draw in 1..16 {
        let index = hearing.hit(draw);
        hearing.stage(index).unwrap();
        let spared = waybill_mechanism::audit::is_spared(&seed, draw, 10_000);
        let sent = hearing.desk.send(&[hearing.open_ix(draw, index)], &[]);
        if spared {
            assert_refused(sent, SettleError::DrawSpared);
            hearing
                .desk
                .send(&[ix::unstage_receipt(hearing.desk.payer(), &hearing.receipts[index].hash())], &[])
                .unwrap();
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
    let mut hearing = Hearing::prepared(2, false);
    // The worker's operator and the gateway sit too.
    for (index, owner) in
        [hearing.desk.net.operator.insecure_clone(), hearing.desk.net.gateway.insecure_clone()].into_iter().enumerate()
    {
        hearing.desk.net.world.party(&owner, Role::Verifier);
        let node = key(&format!("own node {index}"));
        hearing.desk.send(&[ix::join_verifiers(owner.pubkey(), node.pubkey(), CLASS)], &[&owner, &node]).unwrap();
    }
    hearing.post();
    hearing.add_verifier(7);
    hearing.seed().unwrap();
    let audit = hearing.open(0);
    let audit = hearing.audit(&audit);
    assert_eq!(audit.n_chairs, 2);
    let mut seats = audit.seats[..2].to_vec();
    seats.sort_unstable();
    assert_eq!(seats, [0, 1]);
}

#[test]
fn a_class_without_verifiers_opens_no_audit() {
    let mut hearing = Hearing::seeded(0, false);
    let index = hearing.hit(0);
    hearing.stage(index).unwrap();
    assert_refused(hearing.desk.send(&[hearing.open_ix(0, index)], &[]), SettleError::NoVerifier);
}

#[test]
fn a_seat_needs_a_staked_verifier_and_both_signatures() {
    let mut hearing = Hearing::prepared(1, false);
    let (owner, node) = (key("newcomer"), key("newcomer node"));
    let party = hearing.desk.net.world.party(&owner, Role::Verifier);
    let join = ix::join_verifiers(owner.pubkey(), node.pubkey(), CLASS);
    for missing in [&owner, &node] {
        let join = unsigned(join.clone(), missing.pubkey());
        assert_refused(hearing.desk.send(&[join], &[&owner, &node]), ErrorCode::AccountNotSigner);
    }
    let provider = market::seeds::find_party(&hearing.desk.net.operator.pubkey(), Role::Provider).0;
    let others = market::seeds::find_party(&hearing.verifiers[0].owner.pubkey(), Role::Verifier).0;
    for wrong in [provider, others] {
        let join = swap(join.clone(), party, wrong);
        assert_refused(hearing.desk.send(&[join], &[&owner, &node]), SettleError::AccountMismatch);
    }
    for account in [hearing.desk.config(), market::seeds::find_config().0, party, seeds::find_verifier_set(CLASS).0] {
        let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let join = swap(join.clone(), account, forged);
        assert_refused(hearing.desk.send(&[join], &[&owner, &node]), ErrorCode::AccountOwnedByWrongProgram);
    }
    let stake = hearing.desk.net.world.read::<Party>(&party).stake;
    hearing.desk.rewrite(party, |party: &mut Party| party.stake = stake - 1);
    assert_refused(hearing.desk.send(std::slice::from_ref(&join), &[&owner, &node]), SettleError::NotStaked);
    hearing.desk.rewrite(party, |party: &mut Party| party.stake = stake);
    pause_all(&mut hearing, pause::REGISTRATION);
    assert_refused(hearing.desk.send(std::slice::from_ref(&join), &[&owner, &node]), SettleError::Paused);
    let other_set = ix::create_verifier_set(hearing.desk.payer(), CLASS + 1);
    assert_refused(hearing.desk.send(std::slice::from_ref(&other_set), &[]), SettleError::Paused);
    pause_all(&mut hearing, 0);
    let class = market::seeds::find_det_class(CLASS + 1).0;
    let mislabelled = swap(other_set.clone(), class, market::seeds::find_det_class(CLASS).0);
    assert_refused(hearing.desk.send(&[mislabelled], &[]), SettleError::AccountMismatch);
    hearing.desk.rewrite(class, |class: &mut DetClass| class.enabled = false);
    assert_refused(hearing.desk.send(&[other_set], &[]), SettleError::ClassDisabled);
    hearing.desk.send(std::slice::from_ref(&join), &[&owner, &node]).unwrap();
    assert_refused(hearing.desk.send(&[join], &[&owner, &node]), SettleError::SeatTaken);
    assert!(
        hearing.desk.send(&[ix::create_verifier_set(hearing.desk.payer(), CLASS)], &[]).is_err(),
        "one set per class"
    );
}

#[test]
fn a_seat_is_left_by_its_owner_or_for_want_of_stake() {
    let mut hearing = Hearing::prepared(2, false);
    let (owner, other) = (hearing.verifiers[0].owner.insecure_clone(), hearing.verifiers[1].owner.insecure_clone());
    let leave = ix::leave_verifiers(owner.pubkey(), CLASS, 0);
    let foreign = ix::leave_verifiers(other.pubkey(), CLASS, 0);
    assert_refused(hearing.desk.send(&[foreign], &[&other]), SettleError::NotSeated);
    let hidden = unsigned(leave.clone(), owner.pubkey());
    assert_refused(hearing.desk.send(&[hidden], &[]), ErrorCode::AccountNotSigner);
    let evict = ix::evict_verifier(other.pubkey(), CLASS, 1);
    assert_refused(hearing.desk.send(std::slice::from_ref(&evict), &[]), SettleError::StillFit);
    let party = market::seeds::find_party(&other.pubkey(), Role::Verifier).0;
    hearing.desk.rewrite(party, |party: &mut Party| party.stake = 0);
    assert_refused(hearing.desk.send(&[ix::evict_verifier(other.pubkey(), CLASS, 0)], &[]), SettleError::NotSeated);
    hearing.desk.rewrite(party, |party: &mut Party| party.role = Role::Gateway);
    assert_refused(hearing.desk.send(std::slice::from_ref(&evict), &[]), SettleError::AccountMismatch);
    hearing.desk.rewrite(party, |party: &mut Party| party.role = Role::Verifier);
    hearing.desk.measure("evict_verifier", "seat 1", evict, &[]);
    hearing.desk.measure("leave_verifiers", "seat 0", leave.clone(), &[&owner]);
    assert_refused(hearing.desk.send(&[leave], &[&owner]), SettleError::NotSeated);
    let set: VerifierSet = hearing.desk.net.world.read(&seeds::find_verifier_set(CLASS).0);
    assert_eq!(set.seated, 0);
}

// --- verdicts --------------------------------------------------------------------------------------------------------

#[test]
fn an_honest_worker_passes_and_its_verifier_is_paid() {
    let (mut hearing, address) = Hearing::opened(9, true);
    let verdict = hearing.verdict(&address, 0, true);
    let node = hearing.chair(&address, 0).node.insecure_clone();
    let signature = node.sign_message(&verdict.to_bytes());
    let submit = ix::submit_verdict(CLASS, &node.pubkey(), &verdict, &signature.into());
    let sent = hearing.desk.net.world.measure_all("settlement::submit_verdict", "first", &submit, &[]);
    let [event] = sent.log_events::<VerdictSubmitted>().try_into().ok().unwrap();
    assert_eq!((event.pass, event.judged, event.verifier), (true, Outcome::Passed, node.pubkey()));
    assert_refused(hearing.resolve(&address), SettleError::VerdictOpen);
    assert_refused(hearing.pay(&address, 0), SettleError::AuditState);
    hearing.desk.advance(VERDICT_S);
    let audit = hearing.audit(&address);
    let sent = hearing.desk.measure("resolve_audit", "passed", ix::resolve_audit(address, &audit), &[]);
    let [event] = sent.log_events::<AuditResolved>().try_into().ok().unwrap();
    assert_eq!((event.outcome, event.convicts, event.passes), (Outcome::Passed, false, 1));
    assert_eq!(event.rate_bps, 1_960);
    assert_refused(hearing.resolve(&address), SettleError::AuditState);
    assert_eq!(hearing.batch().open_audits, 0);

    let owner = hearing.chair(&address, 0).owner.insecure_clone();
    let pay = ix::pay_verifier(address, &hearing.audit(&address), 0, owner.pubkey());
    let sent = hearing.desk.measure("pay_verifier", "first", pay, &[]);
    let [paid] = sent.cpi_events::<VerifierPaid>().try_into().ok().unwrap();
    assert_eq!((paid.aic, hearing.desk.earned(&owner)), (audit.fee_aic, audit.fee_aic));
    assert_refused(hearing.pay(&address, 0), SettleError::AlreadyDone);
    assert_refused(hearing.forfeit(&address), SettleError::NothingToPunish);

    // The rent waits for the batch: a draw is audited once.
    let close = ix::close_audit(address, &hearing.audit(&address));
    assert_refused(hearing.desk.send(std::slice::from_ref(&close), &[]), SettleError::BatchState);
    hearing.desk.advance(CHALLENGE_S.into());
    hearing.finalize().unwrap();
    let rent = hearing.desk.net.world.svm.get_account(&address).unwrap().lamports;
    let thief = swap(close.clone(), hearing.desk.payer(), key("mallory").pubkey());
    assert_refused(hearing.desk.send(&[thief], &[]), SettleError::AccountMismatch);
    let before = hearing.desk.net.world.svm.get_balance(&hearing.desk.payer()).unwrap();
    hearing.desk.measure("close_audit", "finished", close, &[]);
    assert_eq!(hearing.desk.net.world.svm.get_balance(&hearing.desk.payer()).unwrap() + 5_000 - before, rent);
}

#[test]
fn a_verdict_is_signed_by_the_chairs_node_about_this_audit() {
    let (mut hearing, address) = Hearing::opened(9, false);
    let verdict = hearing.verdict(&address, 0, true);
    let node = hearing.chair(&address, 0).node.insecure_clone();
    let other = hearing.chair(&address, 1).node.insecure_clone();
    assert_refused(hearing.submit_signed(&verdict, &other), SettleError::SignatureCheck);
    let owner = hearing.chair(&address, 0).owner.insecure_clone();
    assert_refused(hearing.submit_signed(&verdict, &owner), SettleError::SignatureCheck);
    for wrong in [
        Verdict { domain: [1; 8], ..verdict },
        Verdict { audit: [1; 32], ..verdict },
        Verdict { receipt_hash: [1; 32], ..verdict },
    ] {
        let mut submit =
            ix::submit_verdict(CLASS, &node.pubkey(), &wrong, &node.sign_message(&wrong.to_bytes()).into());
        submit[1].accounts[2].pubkey = address;
        assert_refused(hearing.desk.send(&submit, &[]), SettleError::ReceiptMismatch);
    }
    let seatless = Verdict { chair: 8, ..verdict };
    assert_refused(hearing.submit_signed(&seatless, &node), SettleError::NotSeated);
    let early = Verdict { chair: 1, ..verdict };
    assert_refused(hearing.submit_signed(&early, &other), SettleError::AuditState);
    let [check, submit] =
        ix::submit_verdict(CLASS, &node.pubkey(), &verdict, &node.sign_message(&verdict.to_bytes()).into());
    assert_refused(hearing.desk.send(std::slice::from_ref(&submit), &[]), SettleError::SignatureCheck);
    let mut bad = verdict.to_bytes();
    bad[5] = 2;
    let bad_check = signature_check(&node, &bad);
    assert_refused(hearing.desk.send(&[bad_check, submit.clone()], &[]), SettleError::MalformedMessage);
    // Another class's set, whose seat 0 nobody holds.
    hearing.desk.send(&[ix::create_verifier_set(hearing.desk.payer(), CLASS + 1)], &[]).unwrap();
    let set = seeds::find_verifier_set(CLASS).0;
    let other_set = swap(submit.clone(), set, seeds::find_verifier_set(CLASS + 1).0);
    assert_refused(hearing.desk.send(&[check.clone(), other_set], &[]), SettleError::AccountMismatch);
    for account in [hearing.desk.config(), set, address] {
        let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let submit = swap(submit.clone(), account, forged);
        assert_refused(hearing.desk.send(&[check.clone(), submit], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    pause_all(&mut hearing, pause::DISPUTES);
    assert_refused(hearing.submit(&address, 0, true), SettleError::Paused);
    assert_refused(hearing.resolve(&address), SettleError::Paused);
    pause_all(&mut hearing, 0);
    hearing.submit(&address, 0, true).unwrap();
    // Said once.
    assert_refused(hearing.submit(&address, 0, true), SettleError::AuditState);
}

#[test]
fn silence_closes_the_audit_without_harm_to_the_worker() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.desk.advance(VERDICT_S);
    assert_refused(hearing.submit(&address, 0, true), SettleError::VerdictLate);
    let sent = hearing.resolve(&address).unwrap();
    let [event] = sent.log_events::<AuditResolved>().try_into().ok().unwrap();
    assert_eq!((event.outcome, event.convicts, event.votes[0]), (Outcome::Undecided, false, Vote::Absent));
    assert_eq!((hearing.record().passes, hearing.record().failed), (0, 0));
    assert_refused(hearing.pay(&address, 0), SettleError::NotSeated);
    assert_eq!(hearing.batch().open_audits, 0);
}

#[test]
fn in_shadow_mode_a_failed_audit_is_recorded_and_nothing_else() {
    let (mut hearing, address) = Hearing::opened(9, false);
    hearing.votes(&address, &[(0, false), (1, false), (2, false)]);
    hearing.desk.advance(2 * VERDICT_S);
    let sent = hearing.resolve(&address).unwrap();
    let [event] = sent.log_events::<AuditResolved>().try_into().ok().unwrap();
    assert_eq!((event.outcome, event.convicts), (Outcome::Failed, false));
    assert_eq!((hearing.record().passes, hearing.record().failed), (0, 1));
    assert_refused(hearing.forfeit(&address), SettleError::NothingToPunish);
    // Those who worked are paid.
    for chair in 0..3 {
        hearing.pay(&address, chair).unwrap();
    }
    hearing.desk.advance(CHALLENGE_S.into());
    hearing.finalize().unwrap();
    assert_eq!(hearing.batch().forfeited_nc, 0);
    let shard = hearing.shard();
    hearing.desk.claim(&shard, 0).unwrap();
    hearing.desk.send(&[ix::close_audit(address, &hearing.audit(&address))], &[]).unwrap();
}

// --- what follows ----------------------------------------------------------------------------------------------------

/// A worker convicted by the hearing, the appeal window over and the outcome booked.
fn convicted() -> (Hearing, Pubkey) {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, false), (1, false), (2, true), (3, false)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    (hearing, address)
}

#[test]
fn d07_the_line_of_a_failed_receipt_is_forfeited() {
    let (mut hearing, address) = convicted();
    let audit = hearing.audit(&address);
    assert!(audit.convicts());
    hearing.desk.advance(CHALLENGE_S.into());
    assert_refused(hearing.finalize(), SettleError::CasesOpen);
    let index = usize::from(audit.receipt >= 3);
    let (line, proof) = (hearing.lines[index], hearing.lines_tree.proof(index).unwrap());
    let (other, other_proof) = (hearing.lines[1 - index], hearing.lines_tree.proof(1 - index).unwrap());
    let forfeit = hearing.forfeit_ix(&address, &other, &other_proof);
    assert_refused(hearing.desk.send(&[forfeit], &[]), SettleError::LineMismatch);
    let forfeit = hearing.forfeit_ix(&address, &line, &other_proof);
    assert_refused(hearing.desk.send(&[forfeit], &[]), SettleError::InvalidProof);
    for wrong in [
        waybill_mechanism::message::Line { worker: [1; 32], ..line },
        waybill_mechanism::message::Line { epoch: line.epoch + 1, ..line },
    ] {
        let forfeit = hearing.forfeit_ix(&address, &wrong, &proof);
        assert_refused(hearing.desk.send(&[forfeit], &[]), SettleError::LineMismatch);
    }
    let mut malformed = hearing.forfeit_ix(&address, &line, &proof);
    malformed.data[8] ^= 1;
    assert_refused(hearing.desk.send(&[malformed], &[]), SettleError::MalformedMessage);
    let sent = hearing.desk.measure("forfeit_line", "depth 1", hearing.forfeit_ix(&address, &line, &proof), &[]);
    let [event] = sent.cpi_events::<LineForfeited>().try_into().ok().unwrap();
    assert_eq!((event.index, event.credits_nc), (line.index, line.credits_nc));
    assert_refused(hearing.forfeit(&address), SettleError::AlreadyDone);
    hearing.finalize().unwrap();
    let shard = hearing.shard();
    assert_refused(hearing.desk.claim(&shard, index), SettleError::AlreadyClaimed);
    hearing.desk.claim(&shard, 1 - index).unwrap();
    // Everything is claimed or void: what the line was worth goes to insurance.
    let sent = hearing.desk.send(&[hearing.desk.sweep_batch_ix(hearing.address())], &[]).unwrap();
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    assert_eq!(swept.remainder_aic, line.credits_nc * AIC_PER_NC);
}

#[test]
fn a_line_that_two_audits_void_is_void_once() {
    let (mut hearing, first) = Hearing::opened(9, true);
    let index = hearing.hit(0);
    let second_draw = (1..16).find(|draw| (hearing.hit(*draw) >= 3) == (index >= 3)).unwrap();
    let second = hearing.open(second_draw);
    for address in [first, second] {
        hearing.votes(&address, &[(0, false), (1, false), (2, false)]);
    }
    hearing.desk.advance(2 * VERDICT_S);
    for address in [first, second] {
        hearing.resolve(&address).unwrap();
        hearing.forfeit(&address).unwrap();
    }
    let batch = hearing.batch();
    assert_eq!((batch.open_audits, batch.claimed_lines), (0, 1));
    assert_eq!(batch.forfeited_nc, hearing.lines[usize::from(index >= 3)].credits_nc);
}

#[test]
fn a_line_that_nobody_forfeits_does_not_hold_up_the_others_for_ever() {
    let (mut hearing, address) = convicted();
    let waive = ix::waive_forfeit(address, &hearing.audit(&address));
    let left = hearing.audit(&address).deadline + 4 * VERDICT_S - hearing.desk.now();
    hearing.desk.advance(left - 1);
    assert_refused(hearing.desk.send(std::slice::from_ref(&waive), &[]), SettleError::AuditUnfinished);
    hearing.desk.advance(1);
    hearing.desk.measure("waive_forfeit", "first", waive.clone(), &[]);
    assert_refused(hearing.desk.send(&[waive], &[]), SettleError::AlreadyDone);
    hearing.finalize().unwrap();
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, true)]);
    hearing.desk.advance(VERDICT_S);
    hearing.resolve(&address).unwrap();
    let waive = ix::waive_forfeit(address, &hearing.audit(&address));
    assert_refused(hearing.desk.send(&[waive], &[]), SettleError::NothingToPunish);
}

#[test]
fn the_account_for_audits_pays_no_more_than_it_has() {
    let (mut hearing, address) = Hearing::opened(9, false);
    hearing.votes(&address, &[(0, true)]);
    hearing.desk.advance(VERDICT_S);
    hearing.resolve(&address).unwrap();
    let vault = seeds::find_audits(&hearing.desk.mint).0;
    let fee = hearing.audit(&address).fee_aic;
    let owner = hearing.chair(&address, 0).owner.insecure_clone();
    let pay = ix::pay_verifier(address, &hearing.audit(&address), 0, owner.pubkey());
    let other = hearing.desk.earnings(&hearing.verifiers[8].owner.pubkey());
    let wrong = if other == hearing.desk.earnings(&owner.pubkey()) {
        hearing.desk.earnings(&hearing.verifiers[7].owner.pubkey())
    } else {
        other
    };
    let to_other = swap(pay.clone(), hearing.desk.earnings(&owner.pubkey()), wrong);
    assert_refused(hearing.desk.send(&[to_other], &[]), SettleError::PayeeMismatch);
    let mine = hearing.desk.net.world.aic_account(&key("mallory").pubkey());
    assert_refused(hearing.desk.send(&[swap(pay.clone(), vault, mine)], &[]), ErrorCode::ConstraintSeeds);
    assert_refused(
        hearing.desk.send(&[swap(pay.clone(), hearing.desk.pool(), mine)], &[]),
        SettleError::AccountMismatch,
    );
    let mut silent = pay.clone();
    let end = silent.data.len() - 1;
    silent.data[end] = 1;
    assert_refused(hearing.desk.send(&[silent], &[]), SettleError::NotSeated);
    set_balance(&mut hearing, vault, 0);
    assert_refused(hearing.desk.net.world.send(std::slice::from_ref(&pay), &[]), SettleError::InsufficientVault);
    set_balance(&mut hearing, vault, fee - 7);
    hearing.desk.net.world.send(&[pay], &[]).unwrap();
    assert_eq!(hearing.desk.earned(&owner), fee - 7);
}

/// Writes a token balance as no program would let anyone.
fn set_balance(hearing: &mut Hearing, address: Pubkey, amount: u64) {
    let mut account = hearing.desk.net.world.svm.get_account(&address).unwrap();
    account.data[64..72].copy_from_slice(&amount.to_le_bytes());
    hearing.desk.net.world.svm.set_account(address, account).unwrap();
}

// --- penalties -------------------------------------------------------------------------------------------------------

fn stake_of(hearing: &Hearing, owner: &Pubkey, role: Role) -> u64 {
    hearing.desk.net.world.read::<Party>(&market::seeds::find_party(owner, role).0).stake
}

/// Opens the AIC account of a wallet and returns its balance.
fn aic(hearing: &mut Hearing, owner: &Pubkey) -> u64 {
    let account = hearing.desk.net.world.aic_account(owner);
    hearing.desk.token(&account)
}

#[test]
fn d07_a_cheating_worker_loses_a_fifth_of_its_stake() {
    let (mut hearing, address) = convicted();
    let (payer, operator) = (hearing.desk.payer(), hearing.desk.net.operator.pubkey());
    let accuser = hearing.chair(&address, 0).owner.pubkey();
    let before = stake_of(&hearing, &operator, Role::Provider);
    let (reported, insured) = (aic(&mut hearing, &accuser), hearing.desk.token(&insurance()));
    let supply = hearing.desk.supply();
    let punish = ix::punish_worker(payer, address, &hearing.audit(&address), &accuser);
    let sent = hearing.desk.measure("punish_worker", "first offence", punish.clone(), &[]);
    let [event] = sent.log_events::<WorkerPunished>().try_into().ok().unwrap();
    let penalty = before / 5;
    assert_eq!((event.penalty_aic, before - stake_of(&hearing, &operator, Role::Provider)), (penalty, penalty));
    assert_eq!(aic(&mut hearing, &accuser) - reported, penalty * 4 / 10);
    assert_eq!(hearing.desk.token(&insurance()) - insured, penalty * 3 / 10, "insurance stands for the consumer");
    assert_eq!(supply - hearing.desk.supply(), penalty - penalty * 4 / 10 - penalty * 3 / 10);
    assert_refused(hearing.desk.send(&[punish], &[]), SettleError::AlreadyDone);
    // The juror who let it pass was wrong too.
    let lenient = hearing.chair(&address, 2).owner.pubkey();
    let before = stake_of(&hearing, &lenient, Role::Verifier);
    aic(&mut hearing, &operator);
    let punish = ix::punish_verifier(payer, address, &hearing.audit(&address), 2, &lenient);
    hearing.desk.measure("punish_verifier", "false verdict", punish.clone(), &[]);
    assert_eq!(before - stake_of(&hearing, &lenient, Role::Verifier), before / 10);
    assert_refused(hearing.desk.send(&[punish], &[]), SettleError::AlreadyDone);
    // Then everything is done, and the rent goes back.
    for chair in [0, 1, 3] {
        hearing.pay(&address, chair).unwrap();
    }
    hearing.forfeit(&address).unwrap();
    assert!(hearing.audit(&address).is_finished());
}

#[test]
fn d07_a_false_accuser_is_slashed_and_the_worker_is_not() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, false), (1, true), (2, true)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    let (payer, operator) = (hearing.desk.payer(), hearing.desk.net.operator.pubkey());
    let accuser = hearing.chair(&address, 0).owner.pubkey();
    aic(&mut hearing, &accuser);
    let punish = ix::punish_worker(payer, address, &hearing.audit(&address), &accuser);
    assert_refused(hearing.desk.send(&[punish], &[]), SettleError::NothingToPunish);
    let before = stake_of(&hearing, &accuser, Role::Verifier);
    let harmed = aic(&mut hearing, &operator);
    let punish = ix::punish_verifier(payer, address, &hearing.audit(&address), 0, &accuser);
    let sent = hearing.desk.send(&[punish], &[]).unwrap();
    let [event] = sent.log_events::<VerifierPunished>().try_into().ok().unwrap();
    assert_eq!((event.offence, event.penalty_aic), (Offence::FalseVerdict, before / 10));
    assert_eq!(aic(&mut hearing, &operator) - harmed, before / 10 * 3 / 10, "the accused gets the harmed party's part");
    assert_eq!(hearing.record().passes, 1);
    hearing.desk.advance(CHALLENGE_S.into());
    hearing.finalize().unwrap();
    let shard = hearing.shard();
    hearing.desk.claim(&shard, 0).unwrap();
}

#[test]
fn a_silent_verifier_is_a_no_show() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.desk.advance(VERDICT_S);
    hearing.resolve(&address).unwrap();
    let silent = hearing.chair(&address, 0).owner.pubkey();
    let operator = hearing.desk.net.operator.pubkey();
    aic(&mut hearing, &operator);
    let punish = ix::punish_verifier(hearing.desk.payer(), address, &hearing.audit(&address), 0, &silent);
    let sent = hearing.desk.send(&[punish], &[]).unwrap();
    let [event] = sent.log_events::<VerifierPunished>().try_into().ok().unwrap();
    assert_eq!(event.offence, Offence::NoShow);
    let party: Party = hearing.desk.net.world.read(&market::seeds::find_party(&silent, Role::Verifier).0);
    assert!(party.jailed_until > hearing.desk.now());
}

#[test]
fn in_shadow_mode_nobody_is_slashed() {
    let (mut hearing, address) = Hearing::opened(9, false);
    hearing.votes(&address, &[(0, false), (1, false), (2, false)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    let accuser = hearing.chair(&address, 0).owner.pubkey();
    let operator = hearing.desk.net.operator.pubkey();
    aic(&mut hearing, &accuser);
    aic(&mut hearing, &operator);
    let audit = hearing.audit(&address);
    let worker = ix::punish_worker(hearing.desk.payer(), address, &audit, &accuser);
    assert_refused(hearing.desk.send(&[worker], &[]), SettleError::NothingToPunish);
    for chair in 0..8 {
        let owner = hearing.chair(&address, chair).owner.pubkey();
        let verifier = ix::punish_verifier(hearing.desk.payer(), address, &audit, chair, &owner);
        assert_refused(hearing.desk.send(&[verifier], &[]), SettleError::NothingToPunish);
    }
}

#[test]
fn the_reporter_of_a_contested_pass_is_the_contester() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, true)]);
    appeal(&mut hearing, &address, "challenger").unwrap();
    hearing.votes(&address, &[(1, false), (2, false)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    let audit = hearing.audit(&address);
    let (payer, lazy) = (hearing.desk.payer(), hearing.chair(&address, 0).owner.pubkey());
    aic(&mut hearing, &lazy);
    let by_the_lazy = ix::punish_worker(payer, address, &audit, &lazy);
    assert_refused(hearing.desk.send(&[by_the_lazy], &[]), SettleError::TokenMismatch);
    let challenger = key("challenger").pubkey();
    let before = aic(&mut hearing, &challenger);
    hearing.desk.send(&[ix::punish_worker(payer, address, &audit, &challenger)], &[]).unwrap();
    assert!(aic(&mut hearing, &challenger) > before);
    hearing.desk.send(&[ix::punish_verifier(payer, address, &audit, 0, &lazy)], &[]).unwrap();
}

#[test]
fn penalties_hit_the_guilty_and_pay_the_right_accounts() {
    let (mut hearing, address) = convicted();
    let (payer, operator) = (hearing.desk.payer(), hearing.desk.net.operator.pubkey());
    let accuser = hearing.chair(&address, 0).owner.pubkey();
    let lenient = hearing.chair(&address, 2).owner.pubkey();
    for owner in [operator, accuser, lenient] {
        aic(&mut hearing, &owner);
    }
    let audit = hearing.audit(&address);
    let worker = ix::punish_worker(payer, address, &audit, &accuser);
    let verifier = ix::punish_verifier(payer, address, &audit, 2, &lenient);
    let (mint, mallory) = (hearing.desk.mint, key("mallory").pubkey());
    let mine = hearing.desk.net.world.aic_account(&mallory);
    let reporter = anchor_spl::associated_token::get_associated_token_address(&accuser, &mint);
    assert_refused(hearing.desk.send(&[swap(worker.clone(), reporter, mine)], &[]), SettleError::TokenMismatch);
    assert_refused(hearing.desk.send(&[swap(worker.clone(), insurance(), mine)], &[]), SettleError::AccountMismatch);
    assert_refused(hearing.desk.send(&[swap(verifier.clone(), insurance(), mine)], &[]), SettleError::AccountMismatch);
    let vault = seeds::find_audits(&mint).0;
    assert_refused(hearing.desk.send(&[swap(verifier.clone(), vault, mine)], &[]), SettleError::AccountMismatch);
    // Somebody else's stake.
    let party = market::seeds::find_party(&operator, Role::Provider).0;
    let other = market::seeds::find_party(&hearing.desk.net.gateway.pubkey(), Role::Gateway).0;
    assert_refused(hearing.desk.send(&[swap(worker.clone(), party, other)], &[]), SettleError::AccountMismatch);
    let party = market::seeds::find_party(&lenient, Role::Verifier).0;
    let other = market::seeds::find_party(&accuser, Role::Verifier).0;
    assert_refused(hearing.desk.send(&[swap(verifier.clone(), party, other)], &[]), SettleError::AccountMismatch);
    // A chair that was right.
    let right = ix::punish_verifier(payer, address, &audit, 1, &hearing.chair(&address, 1).owner.pubkey());
    assert_refused(hearing.desk.send(&[right], &[]), SettleError::NothingToPunish);
    // Another class's set.
    hearing.desk.send(&[ix::create_verifier_set(payer, CLASS + 1)], &[]).unwrap();
    let (set, other) = (seeds::find_verifier_set(CLASS).0, seeds::find_verifier_set(CLASS + 1).0);
    for punish in [&worker, &verifier] {
        assert_refused(hearing.desk.send(&[swap(punish.clone(), set, other)], &[]), SettleError::AccountMismatch);
        for account in [hearing.desk.config(), set, address] {
            let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
            let punish = swap(punish.clone(), account, forged);
            assert_refused(hearing.desk.send(&[punish], &[]), ErrorCode::AccountOwnedByWrongProgram);
        }
        let slasher = swap(punish.clone(), seeds::find_slasher().0, mallory);
        assert_refused(hearing.desk.send(&[slasher], &[]), ErrorCode::ConstraintSeeds);
    }
    hearing.desk.send(&[worker, verifier], &[]).unwrap();
}

fn insurance() -> Pubkey {
    coin::seeds::find_vault(coin::state::VaultKind::Insurance).0
}

// --- appeals ---------------------------------------------------------------------------------------------------------

/// $1 at the harness's rate.
const BOND_AIC: u64 = 1_000_000_000 * AIC_PER_NC;

fn appeal(hearing: &mut Hearing, address: &Pubkey, name: &str) -> Result<waybill_tests::Sent, waybill_tests::Refused> {
    let appellant = key(name);
    hearing.desk.net.world.fund(&appellant.pubkey(), BOND_AIC);
    hearing.desk.send(&[ix::appeal_audit(appellant.pubkey(), *address)], &[&appellant])
}

#[test]
fn a_lazy_pass_is_contested_and_the_contest_gets_its_bond_back() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, true)]);
    let challenger = key("challenger");
    let source = hearing.desk.net.world.fund(&challenger.pubkey(), BOND_AIC);
    let contest = ix::appeal_audit(challenger.pubkey(), address);
    hearing.desk.measure("appeal_audit", "first verdict", contest, &[&challenger]);
    assert_eq!(hearing.desk.token(&source), 0);
    hearing.votes(&address, &[(1, false), (3, false)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    assert!(hearing.audit(&address).convicts() && hearing.audit(&address).is_wrong(0));
    let settle = ix::settle_bond(address, &challenger.pubkey(), 0);
    let sent = hearing.desk.measure("settle_bond", "returned", settle.clone(), &[]);
    let [event] = sent.cpi_events::<BondSettled>().try_into().ok().unwrap();
    assert!(event.returned);
    assert_eq!(hearing.desk.token(&source), BOND_AIC);
    assert_refused(hearing.desk.send(&[settle], &[]), SettleError::AlreadyDone);
    assert_refused(hearing.pay(&address, 0), SettleError::NotSeated);
}

#[test]
fn a_contest_of_a_true_pass_loses_its_bond() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, true)]);
    appeal(&mut hearing, &address, "challenger").unwrap();
    let settle = ix::settle_bond(address, &key("challenger").pubkey(), 0);
    assert_refused(hearing.desk.send(std::slice::from_ref(&settle), &[]), SettleError::AuditState);
    hearing.votes(&address, &[(1, true), (2, true)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    let vault = seeds::find_audits(&hearing.desk.mint).0;
    let before = hearing.desk.token(&vault);
    let mine = hearing.desk.net.world.aic_account(&key("mallory").pubkey());
    let theirs = settle.accounts[4].pubkey;
    assert_refused(hearing.desk.send(&[swap(settle.clone(), theirs, mine)], &[]), SettleError::TokenMismatch);
    assert_refused(hearing.desk.send(&[swap(settle.clone(), vault, mine)], &[]), SettleError::AccountMismatch);
    assert_refused(
        hearing.desk.send(&[swap(settle.clone(), hearing.desk.pool(), mine)], &[]),
        SettleError::AccountMismatch,
    );
    // A held bond keeps the audit.
    hearing.desk.advance(10 * VERDICT_S);
    hearing.finalize().unwrap();
    let close = ix::close_audit(address, &hearing.audit(&address));
    assert_refused(hearing.desk.send(std::slice::from_ref(&close), &[]), SettleError::AuditUnfinished);
    let sent = hearing.desk.send(&[settle], &[]).unwrap();
    let [event] = sent.cpi_events::<BondSettled>().try_into().ok().unwrap();
    assert!(!event.returned);
    assert_eq!(hearing.desk.token(&vault) - before, BOND_AIC);
    // Unpaid verdicts do not keep it: four verdict times are over.
    hearing.desk.send(&[close], &[]).unwrap();
}

#[test]
fn an_appeal_asks_four_more_and_their_majority_stands() {
    let (mut hearing, address) = Hearing::opened(9, true);
    hearing.votes(&address, &[(0, false), (1, false), (2, false)]);
    appeal(&mut hearing, &address, "operator's friend").unwrap();
    assert_refused(hearing.submit(&address, 3, true), SettleError::AuditState);
    hearing.votes(&address, &[(4, true), (5, true), (6, true), (7, true)]);
    hearing.resolve(&address).unwrap();
    let audit = hearing.audit(&address);
    assert_eq!((audit.judged, audit.convicts()), (Outcome::Passed, false));
    assert!((0..3).all(|chair| audit.is_wrong(chair)) && (4..8).all(|chair| audit.is_owed(chair)));
    assert_eq!(hearing.record().passes, 1);
    hearing.desk.send(&[ix::settle_bond(address, &key("operator's friend").pubkey(), 1)], &[]).unwrap();
    assert_eq!(aic(&mut hearing, &key("operator's friend").pubkey()), BOND_AIC);
}

#[test]
fn an_appeal_comes_in_time_with_its_bond_and_only_where_more_can_be_asked() {
    let (mut hearing, address) = Hearing::opened(9, true);
    assert_refused(appeal(&mut hearing, &address, "early"), SettleError::AuditState);
    hearing.votes(&address, &[(0, true)]);
    let poor = key("poor");
    let empty = hearing.desk.net.world.aic_account(&poor.pubkey());
    assert!(hearing.desk.send(&[ix::appeal_audit(poor.pubkey(), address)], &[&poor]).is_err(), "no bond");
    let rich = hearing.desk.net.world.fund(&key("rich").pubkey(), BOND_AIC);
    let others = swap(ix::appeal_audit(poor.pubkey(), address), empty, rich);
    assert_refused(hearing.desk.send(&[others], &[&poor]), SettleError::TokenMismatch);
    let contest = ix::appeal_audit(key("rich").pubkey(), address);
    let hidden = unsigned(contest.clone(), key("rich").pubkey());
    assert_refused(hearing.desk.send(&[hidden], &[]), ErrorCode::AccountNotSigner);
    assert_refused(
        hearing.desk.send(&[swap(contest.clone(), hearing.desk.pool(), empty)], &[&key("rich")]),
        SettleError::AccountMismatch,
    );
    for account in [hearing.desk.config(), coin::seeds::find_rate().0, address] {
        let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let contest = swap(contest.clone(), account, forged);
        assert_refused(hearing.desk.send(&[contest], &[&key("rich")]), ErrorCode::AccountOwnedByWrongProgram);
    }
    pause_all(&mut hearing, pause::DISPUTES);
    assert_refused(hearing.desk.send(std::slice::from_ref(&contest), &[&key("rich")]), SettleError::Paused);
    pause_all(&mut hearing, 0);
    hearing.desk.advance(VERDICT_S);
    assert_refused(hearing.desk.send(&[contest], &[&key("rich")]), SettleError::VerdictLate);
    // Three verifiers make no hearing besides the first.
    let (mut hearing, address) = Hearing::opened(3, true);
    hearing.votes(&address, &[(0, true)]);
    assert_refused(appeal(&mut hearing, &address, "challenger"), SettleError::NotAppealable);
}

// --- planted receipts ------------------------------------------------------------------------------------------------

/// A hearing whose worker belongs to the params authority, with a commitment to every receipt before the draw.
fn planted() -> (Hearing, Pubkey, [u8; 32]) {
    let mut hearing = Hearing::posted(9, true);
    let admin = hearing.desk.net.world.admin.insecure_clone();
    let node = market::seeds::find_node(&hearing.desk.net.worker.pubkey()).0;
    hearing.desk.rewrite(node, |node: &mut Node| node.operator = admin.pubkey());
    let salt = [7; 32];
    for receipt in hearing.receipts.clone() {
        let commit = ix::commit_canary(hearing.desk.payer(), admin.pubkey(), canary_commitment(&receipt.hash(), &salt));
        hearing.desk.measure("commit_canary", "first", commit, &[&admin]);
    }
    hearing.seed().unwrap();
    let address = hearing.open(0);
    (hearing, address, salt)
}

#[test]
fn a_planted_receipt_catches_the_lazy_verifier_and_harms_no_worker() {
    let (mut hearing, address, salt) = planted();
    let admin = hearing.desk.net.world.admin.insecure_clone();
    hearing.votes(&address, &[(0, true)]);
    hearing.desk.net.world.fund(&admin.pubkey(), BOND_AIC);
    hearing.desk.send(&[ix::appeal_audit(admin.pubkey(), address)], &[&admin]).unwrap();
    hearing.votes(&address, &[(1, false), (2, false)]);
    let reveal = ix::reveal_canary(admin.pubkey(), address, &hearing.audit(&address), hearing.desk.payer(), salt);
    hearing.desk.measure("reveal_canary", "first", reveal, &[&admin]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    let audit = hearing.audit(&address);
    assert!(audit.is_wrong(0) && !audit.convicts() && audit.canary);
    assert_eq!(hearing.record().failed, 0);
    assert_eq!(hearing.batch().open_audits, 0);
    assert_refused(hearing.forfeit(&address), SettleError::NothingToPunish);
}

#[test]
fn a_cheat_that_was_caught_cannot_be_declared_a_test() {
    let (mut hearing, address, salt) = planted();
    let admin = hearing.desk.net.world.admin.insecure_clone();
    let audit = hearing.audit(&address);
    let reveal = ix::reveal_canary(admin.pubkey(), address, &audit, hearing.desk.payer(), salt);
    let mallory = key("mallory");
    let stranger = swap(reveal.clone(), admin.pubkey(), mallory.pubkey());
    assert_refused(hearing.desk.send(&[stranger], &[&mallory]), SettleError::Unauthorized);
    let commit = ix::commit_canary(hearing.desk.payer(), mallory.pubkey(), [1; 32]);
    assert_refused(hearing.desk.send(&[commit], &[&mallory]), SettleError::Unauthorized);
    let mut other_salt = reveal.clone();
    other_salt.data[8] ^= 1;
    assert_refused(hearing.desk.send(&[other_salt], &[&admin]), SettleError::CanaryMismatch);
    let thief = swap(reveal.clone(), hearing.desk.payer(), mallory.pubkey());
    assert_refused(hearing.desk.send(&[thief], &[&admin]), SettleError::AccountMismatch);
    // Committed after the draw.
    let canary = reveal.accounts[2].pubkey;
    hearing.desk.rewrite(canary, |canary: &mut Canary| canary.slot = audit.seed_slot);
    assert_refused(hearing.desk.send(std::slice::from_ref(&reveal), &[&admin]), SettleError::CanaryMismatch);
    hearing.desk.rewrite(canary, |canary: &mut Canary| canary.slot = audit.seed_slot - 1);
    // Somebody else's worker.
    hearing.desk.rewrite(address, |audit: &mut Audit| audit.operator = Pubkey::new_unique());
    assert_refused(hearing.desk.send(std::slice::from_ref(&reveal), &[&admin]), SettleError::CanaryMismatch);
    hearing.desk.rewrite(address, |audit: &mut Audit| audit.operator = admin.pubkey());
    // After the outcome is booked.
    hearing.votes(&address, &[(0, false), (1, false), (2, false)]);
    hearing.desk.advance(2 * VERDICT_S);
    hearing.resolve(&address).unwrap();
    assert_refused(hearing.desk.send(&[reveal], &[&admin]), SettleError::AuditState);
}

#[test]
fn s02_resolving_takes_the_audits_own_accounts() {
    let (mut hearing, address) = Hearing::opened(9, false);
    hearing.votes(&address, &[(0, true)]);
    hearing.desk.advance(VERDICT_S);
    let resolve = ix::resolve_audit(address, &hearing.audit(&address));
    let record = seeds::find_record(&hearing.desk.net.worker.pubkey()).0;
    for account in [hearing.desk.config(), hearing.address(), address, record] {
        let forged = hearing.desk.net.world.forge(&account, Some(Pubkey::new_unique()));
        let resolve = swap(resolve.clone(), account, forged);
        assert_refused(hearing.desk.send(&[resolve], &[]), ErrorCode::AccountOwnedByWrongProgram);
    }
    let other = hearing.desk.net.world.forge(&hearing.address(), None);
    assert_refused(
        hearing.desk.net.world.send(&[swap(resolve.clone(), hearing.address(), other)], &[]),
        SettleError::AccountMismatch,
    );
    let other = hearing.desk.net.world.forge(&record, None);
    hearing.desk.rewrite(other, |record: &mut WorkerRecord| record.worker = Pubkey::new_unique());
    assert_refused(
        hearing.desk.net.world.send(&[swap(resolve.clone(), record, other)], &[]),
        SettleError::AccountMismatch,
    );
    assert!(resolve.accounts.iter().all(|meta: &AccountMeta| !meta.is_signer), "anyone resolves");
}
