//! D1 and D8: a gateway leaves a worker's countersigned work out of an epoch, or posts no epoch at all.

use anchor_lang::{error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::{Node, Role};
use settlement::{
    error::SettleError,
    instructions::{DirectClaimArgs, RespondLineArgs},
    state::{Batch, Dispute, DisputeKind, DisputeState, GatewayVault},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::ix::{aic_account, dispute as ix};
use waybill_mechanism::{
    merkle,
    message::{Line, Receipt},
};
use waybill_tests::{
    Refused, Sent, assert_refused,
    ix::{swap, unsigned},
    key,
};

use crate::{court::*, desk::*};

/// A court in which the worker's operator is the challenger.
fn as_operator(mut court: Court) -> Court {
    court.challenger = court.desk.net.operator.insecure_clone();
    let account = court.desk.net.world.aic_account(&court.challenger.pubkey());
    let missing = PURSE - court.desk.token(&account);
    court.desk.net.world.fund(&court.challenger.pubkey(), missing);
    court
}

/// The last receipt that the worker holds of line 0, and its dispute.
fn last(court: &Court) -> (Receipt, Pubkey) {
    let line = &court.shard.lines[0];
    let receipt = court.book.receipts[(line.first_receipt + line.n_receipts - 1) as usize];
    (receipt, ix::underpaid_dispute(&court.batch(), &receipt.line_key))
}

fn accusation(court: &Court, signer: &Keypair, receipt: &Receipt) -> [Instruction; 2] {
    let check = signature_check(signer, &receipt.to_bytes());
    let worker = Pubkey::new_from_array(receipt.worker);
    [check, ix::open_underpaid(court.by(), court.batch(), worker, receipt.line_key)]
}

fn open_with(court: &mut Court, signer: &Keypair, receipt: &Receipt) -> Result<Sent, Refused> {
    let accusation = accusation(court, signer, receipt);
    court.desk.send(&accusation, &[&court.challenger.insecure_clone()])
}

fn respond_ix(court: &Court, dispute: Pubkey, shard: &Shard, line: usize) -> Instruction {
    let args = RespondLineArgs {
        line: shard.lines[line].to_bytes(),
        proof: shard.tree.proof(line).unwrap().iter().map(merkle::Node::to_bytes).collect(),
    };
    ix::respond_line(court.desk.net.gateway.pubkey(), court.batch(), court.desk.batch_of(shard), dispute, args)
}

fn respond(court: &mut Court, dispute: Pubkey, line: usize) -> Result<Sent, Refused> {
    let respond = respond_ix(court, dispute, &court.shard, line);
    court.desk.send(&[respond], &[&court.desk.gateway()])
}

fn outcome(court: &Court, dispute: Pubkey, upheld: bool) -> ix::Outcome {
    let operator = aic_account(&court.challenger.pubkey());
    ix::Outcome { dispute, harmed: operator, ..court.outcome(DisputeKind::UnderpaidWorker, 0, upheld) }
}

#[test]
fn d1_an_underpaid_worker_gets_what_is_missing_from_the_gateways_stake() {
    // The worker holds receipts worth 1,000; the gateway's line ends after the second of them.
    let mut held = None;
    let mut court = as_operator(Court::after(&[&[500, 300, 200], &[50]], |book| {
        let line = book.lines.iter().position(|line| line.n_receipts == 3).unwrap();
        let end = book.lines[line].first_receipt as usize + 2;
        held = Some(book.receipts.remove(end));
        book.lines[line].n_receipts = 2;
        book.lines[line].credits_nc = 800;
        for line in book.lines.iter_mut().filter(|line| line.first_receipt as usize > end) {
            line.first_receipt -= 1;
        }
    }));
    let (receipt, gateway) = (held.unwrap(), court.desk.gateway());
    let dispute = ix::underpaid_dispute(&court.batch(), &receipt.line_key);
    let check = signature_check(&gateway, &receipt.to_bytes());
    let open = ix::open_underpaid(court.by(), court.batch(), court.desk.net.worker.pubkey(), receipt.line_key);
    court.desk.net.world.must(&[check, open], &[&court.challenger.insecure_clone()]);
    assert_eq!(court.challenger_aic(), PURSE - BOND);
    // The gateway shows what it has; that is not enough, and once a shard.
    let line = court.shard.lines.iter().position(|line| line.n_receipts == 2).unwrap();
    let other = court.shard.lines.iter().position(|line| line.n_receipts == 1).unwrap();
    assert_refused(respond(&mut court, dispute, other), SettleError::NotAnAnswer);
    let shown = respond_ix(&court, dispute, &court.shard, line);
    court.desk.measure("respond_line", "depth 1", shown, &[&gateway]);
    assert_eq!(court.desk.net.world.read::<Dispute>(&dispute).state, DisputeState::Open);
    assert_refused(respond(&mut court, dispute, line), SettleError::NotAnAnswer);

    court.desk.advance(RESPONSE_S);
    let resolve = ix::resolve_dispute(&outcome(&court, dispute, true));
    let sent = court.desk.measure("resolve_dispute", "D1", resolve, &[]);
    let event = resolved(&sent);
    assert_eq!((event.restitution_aic, event.penalty_aic, event.forfeited_nc), (200 * AIC_PER_NC, PENALTY, 0));
    assert_eq!(court.gateway_stake(), STAKE - PENALTY - 200 * AIC_PER_NC);
    // The worker's operator both reported it and was harmed.
    assert_eq!(court.challenger_aic(), PURSE + 200 * AIC_PER_NC + PENALTY * 7 / 10);
    court.finalize().unwrap();
    court.desk.claim(&court.shard, line).unwrap();
}

#[test]
fn d1_a_worker_that_is_paid_in_full_loses_its_bond() {
    let mut court = as_operator(Court::honest(&[&[500, 300, 200]]));
    let before = court.gateway_aic();
    let ((receipt, dispute), gateway) = (last(&court), court.desk.gateway());
    let accusation = accusation(&court, &gateway, &receipt);
    court.desk.measure_all("open_underpaid", "first", &accusation, &[&court.challenger.insecure_clone()]);
    respond(&mut court, dispute, 0).unwrap();
    let resolve = ix::resolve_dispute(&outcome(&court, dispute, false));
    assert!(!resolved(&court.desk.send(&[resolve], &[]).unwrap()).upheld);
    court.assert_bond_lost(before);
}

#[test]
fn d1_several_shards_add_up() {
    let mut court = as_operator(Court::after(&[&[500, 300, 200]], |book| {
        book.receipts.truncate(2);
        (book.lines[0].n_receipts, book.lines[0].credits_nc) = (2, 800);
    }));
    let gateway = court.desk.gateway();
    // The rest of the line is in the second shard.
    let line = court.shard.lines[0];
    let rest = receipt(&court.desk, court.shard.epoch, &line, 2, 200, 1_000);
    let second = Book {
        receipts: vec![rest],
        lines: vec![Line { n_receipts: 1, credits_nc: 200, first_receipt: 0, index: 0, ..line }],
    };
    let shard = second.shard(court.shard.epoch, 1);
    court.desk.post(&shard).unwrap();
    let dispute = ix::underpaid_dispute(&court.batch(), &rest.line_key);
    open_with(&mut court, &gateway, &rest).unwrap();
    // In the order of shards; nobody else can spoil that order.
    let late = respond_ix(&court, dispute, &shard, 0);
    let mallory = key("mallory");
    let forged = swap(late.clone(), gateway.pubkey(), mallory.pubkey());
    assert_refused(court.desk.send(&[forged], &[&mallory]), SettleError::Unauthorized);
    assert_refused(court.desk.send(&[unsigned(late.clone(), gateway.pubkey())], &[]), ErrorCode::AccountNotSigner);
    respond(&mut court, dispute, 0).unwrap();
    court.desk.send(std::slice::from_ref(&late), &[&gateway]).unwrap();
    assert_eq!(court.desk.net.world.read::<Dispute>(&dispute).state, DisputeState::Answered);
    assert_refused(court.desk.send(&[late], &[&gateway]), SettleError::DisputeState);
}

#[test]
fn d1_a_void_line_pays_nobody() {
    let mut court = as_operator(Court::honest(&[&[500, 300, 200]]));
    let ((receipt, dispute), gateway) = (last(&court), court.desk.gateway());
    court.open(DisputeKind::OpenLine, 0, 0).unwrap();
    court.desk.advance(RESPONSE_S);
    court.resolve(DisputeKind::OpenLine, 0, true).unwrap();
    open_with(&mut court, &gateway, &receipt).unwrap();
    assert_refused(respond(&mut court, dispute, 0), SettleError::NotAnAnswer);
}

#[test]
fn d1_is_opened_by_the_operator_with_the_gateways_countersignature() {
    let mut court = as_operator(Court::honest(&[&[500, 300, 200]]));
    let ((receipt, _), gateway) = (last(&court), court.desk.gateway());
    let worker = court.desk.net.worker.insecure_clone();
    // The worker's own signature obliges nobody.
    assert_refused(open_with(&mut court, &worker, &receipt), SettleError::SignatureCheck);
    let open = ix::open_underpaid(court.by(), court.batch(), worker.pubkey(), receipt.line_key);
    assert_refused(
        court.desk.send(std::slice::from_ref(&open), &[&court.challenger.insecure_clone()]),
        SettleError::SignatureCheck,
    );
    let cases: [(fn(&mut Receipt), SettleError); 5] = [
        (|r| r.epoch += 1, SettleError::LineMismatch),
        (|r| r.gateway[0] ^= 1, SettleError::LineMismatch),
        (|r| r.domain[0] ^= 1, SettleError::LineMismatch),
        (|r| r.cum_nc = 0, SettleError::MalformedMessage),
        (|r| r.flags = 128, SettleError::MalformedMessage),
    ];
    for (change, error) in cases {
        let mut other = receipt;
        change(&mut other);
        assert_refused(open_with(&mut court, &gateway, &other), error);
    }
    let check = signature_check(&gateway, &receipt.to_bytes());
    let challenger = court.challenger.insecure_clone();
    let other_key = ix::open_underpaid(court.by(), court.batch(), worker.pubkey(), [7; 32]);
    assert_refused(court.desk.send(&[check.clone(), other_key], &[&challenger]), SettleError::LineMismatch);
    // Somebody else's receipt.
    let stranger = key("challenger");
    let by = ix::Challenger { payer: court.desk.payer(), challenger: stranger.pubkey() };
    let stolen = ix::open_underpaid(by, court.batch(), worker.pubkey(), receipt.line_key);
    assert_refused(court.desk.send(&[check.clone(), stolen], &[&stranger]), SettleError::NotTheOperator);
    let node = market::seeds::find_node(&worker.pubkey()).0;
    court.desk.rewrite(node, |node: &mut Node| node.worker = Pubkey::new_unique());
    assert_refused(court.desk.send(&[check.clone(), open.clone()], &[&challenger]), SettleError::NodeMismatch);
    court.desk.rewrite(node, |node: &mut Node| node.worker = worker.pubkey());
    // One line key is disputed once, at the first shard.
    let batch = court.batch();
    court.desk.rewrite(batch, |batch: &mut Batch| batch.shard = 1);
    assert_refused(court.desk.send(&[check.clone(), open.clone()], &[&challenger]), SettleError::AccountMismatch);
    court.desk.rewrite(batch, |batch: &mut Batch| batch.shard = 0);
    court.desk.send(&[check.clone(), open.clone()], &[&challenger]).unwrap();
    assert!(court.desk.send(&[check, open], &[&challenger]).is_err());
}

#[test]
fn d1_pays_the_operator_only() {
    let mut court = as_operator(Court::honest(&[&[500, 300, 200]]));
    let ((receipt, dispute), gateway) = (last(&court), court.desk.gateway());
    open_with(&mut court, &gateway, &receipt).unwrap();
    court.desk.advance(RESPONSE_S);
    let right = outcome(&court, dispute, true);
    let mine = court.desk.net.world.aic_account(&key("mallory").pubkey());
    for harmed in [mine, ix::insurance()] {
        let resolve = ix::resolve_dispute(&ix::Outcome { harmed, ..right });
        assert_refused(court.desk.send(&[resolve], &[]), SettleError::TokenMismatch);
    }
    court.desk.send(&[ix::resolve_dispute(&right)], &[]).unwrap();
}

/// An epoch that the gateway has not posted, `PURSE` with the operator and a vault of `vault_nc`.
struct Unposted {
    desk: Desk,
    epoch: u32,
    shard: Shard,
    receipt: Receipt,
    operator: Keypair,
}

fn unposted(vault_nc: u64) -> Unposted {
    let mut desk = Desk::collected(vault_nc);
    let epoch = desk.epoch();
    let book = Book::honest(&desk, epoch, &[&[500, 300, 200]]);
    let operator = desk.net.operator.insecure_clone();
    let account = desk.net.world.aic_account(&operator.pubkey());
    let missing = PURSE - desk.token(&account);
    desk.net.world.fund(&operator.pubkey(), missing);
    let end = i64::from(epoch + 1) * EPOCH_S + i64::from(POST_WINDOW_S);
    desk.net.world.set_time(end + 1);
    Unposted { shard: book.shard(epoch, 0), receipt: book.receipts[2], desk, epoch, operator }
}

impl Unposted {
    fn dispute(&self) -> Pubkey {
        ix::direct_claim_dispute(&self.desk.net.gateway.pubkey(), self.epoch, &self.receipt.line_key)
    }

    fn claim_ix(&self) -> Instruction {
        let by = ix::Challenger { payer: self.desk.payer(), challenger: self.operator.pubkey() };
        let args = DirectClaimArgs { epoch: self.epoch, line_key: self.receipt.line_key };
        ix::direct_claim(by, self.desk.net.gateway.pubkey(), self.desk.net.worker.pubkey(), args)
    }

    fn claim(&mut self) -> Result<Sent, Refused> {
        let check = signature_check(&self.desk.net.gateway, &self.receipt.to_bytes());
        let claim = self.claim_ix();
        self.desk.send(&[check, claim], &[&self.operator.insecure_clone()])
    }

    fn outcome(&self, upheld: bool) -> ix::Outcome {
        let (gateway, operator) = (self.desk.net.gateway.pubkey(), self.operator.pubkey());
        ix::Outcome {
            payer: self.desk.payer(),
            dispute: self.dispute(),
            target: self.desk.gateway_vault(),
            accused: gateway,
            accused_role: Role::Gateway,
            challenger: operator,
            bond_to: aic_account(if upheld { &operator } else { &gateway }),
            harmed: aic_account(&operator),
            epoch: self.epoch,
        }
    }

    fn operator_aic(&self) -> u64 {
        self.desk.token(&aic_account(&self.operator.pubkey()))
    }
}

#[test]
fn d8_a_worker_is_paid_from_the_vault_of_a_gateway_that_posts_nothing() {
    let mut case = unposted(5_000);
    let claim = [signature_check(&case.desk.net.gateway, &case.receipt.to_bytes()), case.claim_ix()];
    case.desk.measure_all("direct_claim", "nothing posted", &claim, &[&case.operator.insecure_clone()]);
    let early = ix::resolve_direct_claim(&case.outcome(true));
    assert_refused(case.desk.send(std::slice::from_ref(&early), &[]), SettleError::DisputePending);
    case.desk.advance(RESPONSE_S);
    let sent = case.desk.measure("resolve_direct_claim", "from the vault", early.clone(), &[]);
    let event = resolved(&sent);
    assert_eq!((event.vault_aic, event.restitution_aic, event.penalty_aic), (1_000 * AIC_PER_NC, 0, PENALTY));
    assert_eq!(case.operator_aic(), PURSE + 1_000 * AIC_PER_NC + PENALTY * 7 / 10);
    let vault: GatewayVault = case.desk.net.world.read(&case.desk.gateway_vault());
    assert_eq!((vault.nc, vault.aic), (4_000, 4_000 * AIC_PER_NC));
    // Nothing is paid twice: not by this dispute, nor by another, nor by a batch that comes after all.
    assert_refused(case.desk.send(&[early], &[]), SettleError::DisputeState);
    assert!(case.claim().is_err(), "the address is taken");
    assert_refused(case.desk.post(&case.shard), SettleError::EpochClosed);
    let close = ix::close_dispute(case.dispute(), case.desk.gateway_vault(), case.desk.payer());
    assert_refused(case.desk.send(std::slice::from_ref(&close), &[]), SettleError::SubjectOpen);
    let vault = case.desk.gateway_vault();
    let after = case.epoch + 1;
    case.desk.rewrite(vault, |vault: &mut GatewayVault| vault.first_open_epoch = after);
    case.desk.send(&[close], &[]).unwrap();
    assert_refused(case.claim(), SettleError::BatchPosted);
}

#[test]
fn d8_what_the_vault_lacks_comes_from_the_stake() {
    let mut case = unposted(300);
    case.claim().unwrap();
    case.desk.advance(RESPONSE_S);
    let resolve = ix::resolve_direct_claim(&case.outcome(true));
    let event = resolved(&case.desk.send(&[resolve], &[]).unwrap());
    assert_eq!((event.vault_aic, event.restitution_aic), (300 * AIC_PER_NC, 700 * AIC_PER_NC));
    let vault: GatewayVault = case.desk.net.world.read(&case.desk.gateway_vault());
    assert_eq!((vault.nc, vault.aic), (0, 0));
}

#[test]
fn d8_a_gateway_that_posts_in_time_keeps_the_bond() {
    let mut case = unposted(5_000);
    let gateway = aic_account(&case.desk.net.gateway.pubkey());
    let before = case.desk.token(&gateway);
    let check = signature_check(&case.desk.net.gateway, &case.receipt.to_bytes());
    let claim = case.claim_ix();
    let operator = case.operator.insecure_clone();
    let sent = case.desk.net.world.must(&[check, claim], &[&operator]);
    assert!(sent.compute_units() > 0);
    let (shard, dispute) = (&case.shard, case.dispute());
    case.desk.send(&[case.desk.post_batch_ix(shard.args())], &[&case.desk.gateway()]).unwrap();
    let resolve = ix::resolve_direct_claim(&case.outcome(false));
    assert!(!resolved(&case.desk.send(&[resolve], &[]).unwrap()).upheld);
    assert_eq!(case.operator_aic(), PURSE - BOND);
    assert_eq!(case.desk.token(&gateway), before + BOND);
    let close = ix::close_dispute(dispute, case.desk.gateway_vault(), case.desk.payer());
    case.desk.send(&[close], &[]).unwrap();
    // Accused again, now that the batch is there.
    assert_refused(case.claim(), SettleError::BatchPosted);
}

#[test]
fn d8_waits_for_the_posting_window() {
    let mut case = unposted(5_000);
    case.desk.advance(-1);
    assert_refused(case.claim(), SettleError::PostWindowOpen);
    case.desk.advance(1);
    case.claim().unwrap();
}

#[test]
fn d8_is_claimed_by_the_operator_with_the_gateways_countersignature() {
    let mut case = unposted(5_000);
    let operator = case.operator.insecure_clone();
    let worker = case.desk.net.worker.insecure_clone();
    let claim = case.claim_ix();
    let check = signature_check(&case.desk.net.gateway, &case.receipt.to_bytes());
    let by_worker = signature_check(&worker, &case.receipt.to_bytes());
    assert_refused(case.desk.send(&[by_worker, claim.clone()], &[&operator]), SettleError::SignatureCheck);
    assert_refused(case.desk.send(std::slice::from_ref(&claim), &[&operator]), SettleError::SignatureCheck);
    let changes: [fn(&mut Receipt); 4] =
        [|r| r.epoch += 1, |r| r.gateway[0] ^= 1, |r| r.domain[0] ^= 1, |r| r.line_key[0] ^= 1];
    for change in changes {
        let mut other = case.receipt;
        change(&mut other);
        let check = signature_check(&case.desk.net.gateway, &other.to_bytes());
        assert_refused(case.desk.send(&[check, claim.clone()], &[&operator]), SettleError::LineMismatch);
    }
    let stranger = key("stranger");
    case.desk.net.world.fund(&stranger.pubkey(), PURSE);
    let by = ix::Challenger { payer: case.desk.payer(), challenger: stranger.pubkey() };
    let args = DirectClaimArgs { epoch: case.epoch, line_key: case.receipt.line_key };
    let stolen = ix::direct_claim(by, case.desk.net.gateway.pubkey(), worker.pubkey(), args);
    assert_refused(case.desk.send(&[check.clone(), stolen], &[&stranger]), SettleError::NotTheOperator);
    // The address of the missing batch cannot be swapped for an empty one.
    let batch = case.desk.batch(case.epoch, 0);
    let elsewhere = swap(claim.clone(), batch, Pubkey::new_unique());
    assert_refused(case.desk.send(&[check.clone(), elsewhere], &[&operator]), ErrorCode::ConstraintSeeds);
    case.desk.send(&[check, claim], &[&operator]).unwrap();
    // Nor at the outcome, nor can the money go elsewhere.
    case.desk.advance(RESPONSE_S);
    let right = case.outcome(true);
    let elsewhere = swap(ix::resolve_direct_claim(&right), batch, Pubkey::new_unique());
    assert_refused(case.desk.send(&[elsewhere], &[]), ErrorCode::ConstraintSeeds);
    let mine = aic_account(&stranger.pubkey());
    for outcome in [ix::Outcome { harmed: mine, ..right }, ix::Outcome { bond_to: mine, ..right }] {
        assert_refused(case.desk.send(&[ix::resolve_direct_claim(&outcome)], &[]), SettleError::TokenMismatch);
    }
    let vault_token = case.desk.gateway_token();
    let other_vault = swap(ix::resolve_direct_claim(&right), vault_token, case.desk.channel_token());
    assert_refused(case.desk.send(&[other_vault], &[]), SettleError::AccountMismatch);
    let gateway = market::seeds::find_party(&case.desk.net.gateway.pubkey(), Role::Gateway).0;
    let vendor = market::seeds::find_party(&case.desk.net.vendor.pubkey(), Role::Vendor).0;
    let other_party = swap(ix::resolve_direct_claim(&right), gateway, vendor);
    assert_refused(case.desk.send(&[other_party], &[]), SettleError::AccountMismatch);
    // A dispute about a batch does not end here.
    let wrong = ix::resolve_overcharge(&ix::Outcome { target: case.desk.channel(), ..right });
    assert_refused(case.desk.send(&[wrong], &[]), SettleError::AccountMismatch);
}
