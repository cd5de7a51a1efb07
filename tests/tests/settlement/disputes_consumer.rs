//! D2: a gateway settles more than it acknowledged. D6: a gateway signs two things that cannot both be true.

use anchor_lang::{error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::Role;
use settlement::{
    error::SettleError,
    instructions::OpenEquivocationArgs,
    state::{Dispute, DisputeState, SettleConfig, SettledBy},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::ix::{aic_account, dispute as ix};
use waybill_mechanism::message::{ChargeNote, Line, Order, Receipt};
use waybill_tests::{
    Refused, Sent, assert_refused,
    ix::{swap, unsigned},
    key,
};

use crate::{court::*, desk::*};

/// A channel from which the gateway settled 1,000 nc at nonce 5 under its grant; the consumer has a purse.
struct Case {
    desk: Desk,
}

impl Case {
    fn settled(nc: u64, nonce: u64) -> Self {
        let mut desk = Desk::with_channel(10_000 * AIC_PER_NC, 10_000);
        desk.settle(nc, nonce).unwrap();
        let mut case = Self { desk };
        case.fill_purse();
        case
    }

    fn fill_purse(&mut self) {
        let consumer = self.desk.consumer.pubkey();
        let account = self.desk.net.world.aic_account(&consumer);
        let missing = PURSE - self.desk.token(&account);
        if missing > 0 {
            self.desk.net.world.fund(&consumer, missing);
        }
    }

    fn domain(&self) -> [u8; 8] {
        self.desk.net.world.read::<SettleConfig>(&self.desk.config()).domain
    }

    fn note(&self, nonce: u64, cum_charged_nc: u64) -> ChargeNote {
        ChargeNote {
            domain: self.domain(),
            channel: self.desk.channel().to_bytes(),
            nonce,
            charge_nc: 1,
            cum_charged_nc,
        }
    }

    fn order(&self, nonce: u64) -> Order {
        Order {
            domain: self.domain(),
            channel: self.desk.channel().to_bytes(),
            nonce,
            max_price_nc: 1_000,
            ctx_hash: [5; 32],
        }
    }

    fn receipt(&self, order: &Order) -> Receipt {
        let line = Line {
            stage: 0,
            epoch: self.desk.epoch(),
            index: 0,
            container: self.desk.net.container,
            worker: self.desk.net.worker.pubkey().to_bytes(),
            referrer: [0; 32],
            first_receipt: 0,
            n_receipts: 1,
            credits_nc: 100,
        };
        let receipt = receipt(&self.desk, self.desk.epoch(), &line, 0, 100, 100);
        Receipt { request_hash: order.hash(), ..receipt }
    }

    fn by(&self) -> ix::Challenger {
        ix::Challenger { payer: self.desk.payer(), challenger: self.desk.consumer.pubkey() }
    }

    fn dispute(&self) -> Pubkey {
        ix::overcharge_dispute(&self.desk.channel(), self.desk.state().last_settled_nonce)
    }

    fn open_ix(&self) -> Instruction {
        ix::open_overcharge(self.by(), self.desk.channel(), self.desk.state().last_settled_nonce)
    }

    fn open(&mut self, note: &ChargeNote) -> Result<Sent, Refused> {
        let check = signature_check(&self.desk.net.gateway, &note.to_bytes());
        let open = self.open_ix();
        self.desk.send(&[check, open], &[&self.desk.consumer()])
    }

    fn state(&self) -> Dispute {
        self.desk.net.world.read(&self.dispute())
    }

    fn outcome(&self, dispute: Pubkey, target: Pubkey, upheld: bool) -> ix::Outcome {
        let (gateway, consumer) = (self.desk.net.gateway.pubkey(), self.desk.consumer.pubkey());
        ix::Outcome {
            payer: self.desk.payer(),
            dispute,
            target,
            accused: gateway,
            accused_role: Role::Gateway,
            challenger: consumer,
            bond_to: aic_account(if upheld { &consumer } else { &gateway }),
            harmed: aic_account(&consumer),
            epoch: self.desk.epoch(),
        }
    }

    fn resolve_ix(&self, upheld: bool) -> Instruction {
        ix::resolve_overcharge(&self.outcome(self.dispute(), self.desk.channel(), upheld))
    }

    fn resolve(&mut self, upheld: bool) -> Result<Sent, Refused> {
        let resolve = self.resolve_ix(upheld);
        self.desk.send(&[resolve], &[])
    }

    fn respond(&mut self, order: &Order, signer: &Keypair, receipt: &Receipt) -> Result<Sent, Refused> {
        let answer = self.answer(order, signer, receipt);
        self.desk.send(&answer, &[])
    }

    fn answer(&self, order: &Order, signer: &Keypair, receipt: &Receipt) -> [Instruction; 2] {
        let check = signature_check(signer, &receipt.to_bytes());
        let worker = self.desk.net.worker.pubkey();
        [check, ix::respond_overcharge(self.desk.channel(), self.dispute(), worker, order.to_bytes())]
    }

    fn consumer_aic(&self) -> u64 {
        self.desk.token(&aic_account(&self.desk.consumer.pubkey()))
    }
}

#[test]
fn d2_a_note_below_what_is_settled_proves_the_overcharge() {
    let mut case = Case::settled(1_000, 5);
    let (note, consumer) = (case.note(5, 400), case.desk.consumer());
    let check = signature_check(&case.desk.net.gateway, &note.to_bytes());
    let open = case.open_ix();
    case.desk.measure_all("open_overcharge", "proven at once", &[check, open], &[&consumer]);
    assert_eq!((case.state().state, case.state().amount_nc), (DisputeState::Proven, 600));
    assert_eq!(case.consumer_aic(), PURSE - BOND);
    // The gateway's vault has the 1,000; the 600 come out of it, the penalty out of its stake.
    let resolve = case.resolve_ix(true);
    let event = resolved(&case.desk.measure("resolve_overcharge", "from the vault", resolve, &[]));
    assert_eq!((event.vault_aic, event.restitution_aic, event.penalty_aic), (600 * AIC_PER_NC, 0, PENALTY));
    assert_eq!(case.consumer_aic(), PURSE + 600 * AIC_PER_NC + PENALTY * 7 / 10);
    let channel = case.desk.state();
    assert_eq!((channel.refunded_nc, channel.open_disputes, channel.settled_nc), (600, 0, 1_000));
    // Closed and raised again, it owes nothing more.
    let close = ix::close_dispute(case.dispute(), case.desk.channel(), case.desk.payer());
    case.desk.send(&[close], &[]).unwrap();
    assert_refused(case.open(&note), SettleError::NothingOwed);
    let lower = case.note(5, 300);
    case.open(&lower).unwrap();
    let event = resolved(&case.resolve(true).unwrap());
    assert_eq!(event.vault_aic, 100 * AIC_PER_NC, "what an earlier dispute gave back is not owed again");
}

#[test]
fn d2_what_the_vault_lacks_comes_from_the_stake() {
    let mut case = Case::settled(1_000, 5);
    let shard = Shard::new(&case.desk, case.desk.epoch(), &[700], [0; 32]);
    case.desk.advance(EPOCH_S);
    case.desk.post(&shard).unwrap();
    let note = case.note(5, 400);
    case.open(&note).unwrap();
    let event = resolved(&case.resolve(true).unwrap());
    assert_eq!((event.vault_aic, event.restitution_aic), (300 * AIC_PER_NC, 300 * AIC_PER_NC));
}

#[test]
fn d2_a_gateway_that_cannot_justify_its_last_nonce_pays_back() {
    let mut case = Case::settled(1_000, 5);
    // The consumer's last note is of nonce 3; nothing explains the rest.
    let note = case.note(3, 250);
    case.open(&note).unwrap();
    assert_eq!((case.state().state, case.state().mark), (DisputeState::Open, 5));
    assert_refused(case.resolve(true), SettleError::DisputePending);
    case.desk.advance(RESPONSE_S);
    let event = resolved(&case.resolve(true).unwrap());
    assert_eq!((event.vault_aic, event.penalty_aic), (750 * AIC_PER_NC, PENALTY));
}

#[test]
fn d2_a_consumer_that_accuses_a_served_nonce_loses_its_bond() {
    let mut case = Case::settled(1_000, 5);
    let gateway = aic_account(&case.desk.net.gateway.pubkey());
    let before = case.desk.token(&gateway);
    let note = case.note(3, 250);
    case.open(&note).unwrap();
    let order = case.order(5);
    let (worker, receipt) = (case.desk.net.worker.insecure_clone(), case.receipt(&order));
    // Another nonce, another channel, another order's receipt, another signer, another gateway.
    assert_refused(case.respond(&case.order(4), &worker, &receipt), SettleError::NotAnAnswer);
    let elsewhere = Order { channel: [1; 32], ..order };
    assert_refused(case.respond(&elsewhere, &worker, &receipt), SettleError::NotAnAnswer);
    let other_cluster = Order { domain: [1; 8], ..order };
    assert_refused(case.respond(&other_cluster, &worker, &receipt), SettleError::NotAnAnswer);
    let other = Receipt { request_hash: [7; 32], ..receipt };
    assert_refused(case.respond(&order, &worker, &other), SettleError::NotAnAnswer);
    let foreign = Receipt { gateway: [7; 32], ..receipt };
    assert_refused(case.respond(&order, &worker, &foreign), SettleError::NotAnAnswer);
    let mallory = key("mallory");
    assert_refused(case.respond(&order, &mallory, &receipt), SettleError::SignatureCheck);
    let not_its_own = Receipt { worker: mallory.pubkey().to_bytes(), ..receipt };
    assert_refused(case.respond(&order, &worker, &not_its_own), SettleError::NodeMismatch);
    let answer = case.answer(&order, &worker, &receipt);
    case.desk.measure_all("respond_overcharge", "an order and its receipt", &answer, &[]);
    assert_eq!(case.state().state, DisputeState::Answered);
    assert_refused(case.respond(&order, &worker, &receipt), SettleError::DisputeState);
    assert!(!resolved(&case.resolve(false).unwrap()).upheld);
    assert_eq!(case.consumer_aic(), PURSE - BOND);
    assert_eq!(case.desk.token(&gateway), before + BOND);
    assert_eq!((case.desk.state().refunded_nc, case.desk.state().open_disputes), (0, 0));
}

#[test]
fn d2_a_note_that_covers_what_is_settled_accuses_nobody() {
    let mut case = Case::settled(1_000, 5);
    for (nonce, cum) in [(5, 1_000), (5, 1_001), (9, 1_500), (3, 1_000)] {
        let note = case.note(nonce, cum);
        assert_refused(case.open(&note), SettleError::NothingOwed);
    }
    let note = case.note(3, 999);
    case.open(&note).unwrap();
}

#[test]
fn d2_what_a_consumer_acknowledged_is_no_overcharge() {
    let mut case = Case::settled(1_000, 5);
    let voucher = case.desk.voucher(7, 2_000, 3_000);
    case.desk.settle_voucher(&voucher, 2_000, false).unwrap();
    assert_eq!(case.desk.state().settled_by, SettledBy::Acknowledged);
    case.fill_purse();
    // It raised the settled amount itself, above the note that it holds: that frames nobody.
    for nonce in [3, 7] {
        let note = case.note(nonce, 1_000);
        assert_refused(case.open(&note), SettleError::NotSettledByGateway);
    }
    // Above what it acknowledged, the gateway signs and answers for it; the voucher justifies the nonce.
    case.desk.settle_voucher(&voucher, 2_500, true).unwrap();
    assert_eq!(case.desk.state().settled_by, SettledBy::Voucher);
    let note = case.note(3, 1_000);
    assert_refused(case.open(&note), SettleError::NotSettledByGateway);
    let note = case.note(7, 2_200);
    case.open(&note).unwrap();
    assert_eq!((case.state().state, case.state().amount_nc), (DisputeState::Proven, 300));
}

#[test]
fn d2_is_opened_by_the_consumer_with_the_gateways_note() {
    let mut case = Case::settled(1_000, 5);
    let (note, consumer, mallory) = (case.note(5, 400), case.desk.consumer(), key("mallory"));
    case.desk.net.world.fund(&mallory.pubkey(), PURSE);
    let open = case.open_ix();
    let check = signature_check(&case.desk.net.gateway, &note.to_bytes());
    assert_refused(case.desk.send(std::slice::from_ref(&open), &[&consumer]), SettleError::SignatureCheck);
    let own = signature_check(&consumer, &note.to_bytes());
    assert_refused(case.desk.send(&[own, open.clone()], &[&consumer]), SettleError::SignatureCheck);
    let mut forged = swap(open.clone(), consumer.pubkey(), mallory.pubkey());
    forged = swap(forged, aic_account(&consumer.pubkey()), aic_account(&mallory.pubkey()));
    assert_refused(case.desk.send(&[check.clone(), forged], &[&mallory]), SettleError::Unauthorized);
    let bare = unsigned(open.clone(), consumer.pubkey());
    assert_refused(case.desk.send(&[check.clone(), bare], &[]), ErrorCode::AccountNotSigner);
    for other in [ChargeNote { domain: [1; 8], ..note }, ChargeNote { channel: [1; 32], ..note }] {
        assert_refused(case.open(&other), SettleError::VoucherMismatch);
    }
    let malformed = ChargeNote { charge_nc: 500, ..note };
    assert_refused(case.open(&malformed), SettleError::MalformedMessage);
    case.open(&note).unwrap();
    assert!(case.open(&note).is_err(), "once per settled nonce");
}

#[test]
fn d2_keeps_the_channel_until_its_outcome_and_pays_the_consumer_only() {
    let mut case = Case::settled(1_000, 5);
    let note = case.note(3, 400);
    case.open(&note).unwrap();
    case.desk.send(&[case.desk.request_close_ix()], &[&case.desk.consumer()]).unwrap();
    case.desk.advance(GRACE_S.into());
    case.desk.pass_slots(151);
    assert_refused(case.desk.send(&[case.desk.close_channel_ix()], &[]), SettleError::ChannelDisputed);
    let right = case.outcome(case.dispute(), case.desk.channel(), true);
    let mine = case.desk.net.world.aic_account(&key("mallory").pubkey());
    for outcome in [ix::Outcome { harmed: mine, ..right }, ix::Outcome { bond_to: mine, ..right }] {
        assert_refused(case.desk.send(&[ix::resolve_overcharge(&outcome)], &[]), SettleError::TokenMismatch);
    }
    let resolve = ix::resolve_overcharge(&right);
    let gateway = market::seeds::find_party(&case.desk.net.gateway.pubkey(), Role::Gateway).0;
    let vendor = market::seeds::find_party(&case.desk.net.vendor.pubkey(), Role::Vendor).0;
    assert_refused(case.desk.send(&[swap(resolve.clone(), gateway, vendor)], &[]), SettleError::AccountMismatch);
    let vault = swap(resolve.clone(), case.desk.gateway_token(), case.desk.channel_token());
    assert_refused(case.desk.send(&[vault], &[]), SettleError::AccountMismatch);
    case.desk.send(&[resolve], &[]).unwrap();
    case.desk.send(&[case.desk.close_channel_ix()], &[]).unwrap();
    // The dispute outlives its channel, and its rent still returns.
    let dispute = ix::overcharge_dispute(&case.desk.channel(), 5);
    case.desk.send(&[ix::close_dispute(dispute, case.desk.channel(), case.desk.payer())], &[]).unwrap();
}

// D6

impl Case {
    fn equivocation_ix(&self, message: &[u8]) -> Instruction {
        let accused = self.desk.net.gateway.pubkey();
        let message_key = ix::message_key(&accused.to_bytes(), &self.domain(), message).unwrap();
        ix::open_equivocation(self.by(), OpenEquivocationArgs { accused, message_key })
    }

    fn equivocation(&self, message: &[u8]) -> Pubkey {
        let accused = self.desk.net.gateway.pubkey().to_bytes();
        ix::equivocation_dispute(&ix::message_key(&accused, &self.domain(), message).unwrap())
    }

    fn accuse(&mut self, message: &[u8]) -> Result<Sent, Refused> {
        let check = signature_check(&self.desk.net.gateway, message);
        let open = self.equivocation_ix(message);
        self.desk.send(&[check, open], &[&self.desk.consumer()])
    }

    fn prove(&mut self, first: &[u8], signer: &Keypair, second: &[u8]) -> Result<Sent, Refused> {
        let check = signature_check(signer, second);
        let consumer = self.desk.consumer.pubkey();
        let prove = ix::prove_equivocation(consumer, self.equivocation(first), first.to_vec());
        self.desk.send(&[check, prove], &[&self.desk.consumer()])
    }

    fn resolve_equivocation_ix(&self, first: &[u8], upheld: bool) -> Instruction {
        let accused = self.desk.net.gateway.pubkey();
        let outcome = self.outcome(self.equivocation(first), accused, upheld);
        ix::resolve_equivocation(&ix::Outcome { harmed: ix::insurance(), ..outcome })
    }

    fn resolve_equivocation(&mut self, first: &[u8], upheld: bool) -> Result<Sent, Refused> {
        let resolve = self.resolve_equivocation_ix(first, upheld);
        self.desk.send(&[resolve], &[])
    }
}

#[test]
fn d6_two_notes_for_one_nonce_cost_all_of_the_stake() {
    let mut case = Case::settled(1_000, 5);
    let gateway = case.desk.gateway();
    let (first, second) = (case.note(4, 100).to_bytes(), case.note(4, 900).to_bytes());
    let consumer = case.desk.consumer();
    let accuse = [signature_check(&gateway, &first), case.equivocation_ix(&first)];
    case.desk.measure_all("open_equivocation", "a note", &accuse, &[&consumer]);
    let prove = ix::prove_equivocation(consumer.pubkey(), case.equivocation(&first), first.to_vec());
    let prove = [signature_check(&gateway, &second), prove];
    case.desk.measure_all("prove_equivocation", "a note", &prove, &[&consumer]);
    let insurance = case.desk.token(&ix::insurance());
    let resolve = case.resolve_equivocation_ix(&first, true);
    let event = resolved(&case.desk.measure("resolve_equivocation", "upheld", resolve, &[]));
    assert_eq!(event.penalty_aic, STAKE);
    assert_eq!(case.consumer_aic(), PURSE + STAKE * 4 / 10);
    assert_eq!(case.desk.token(&ix::insurance()) - insurance, STAKE * 3 / 10);
    // The same two messages cannot be used again: the dispute stays.
    let close = ix::close_dispute(case.equivocation(&first), gateway.pubkey(), case.desk.payer());
    assert_refused(case.desk.send(&[close], &[]), SettleError::SubjectOpen);
    assert!(case.accuse(&second).is_err(), "the address is taken");
}

#[test]
fn d6_two_receipts_for_one_place_are_an_equivocation() {
    let mut case = Case::settled(1_000, 5);
    let (order, gateway, consumer) = (case.order(5), case.desk.gateway(), case.desk.consumer());
    let first = case.receipt(&order);
    let second = Receipt { output_hash: [9; 32], ..first };
    let check = signature_check(&gateway, &first.to_bytes());
    let open = case.equivocation_ix(&first.to_bytes());
    case.desk.send(&[check, open], &[&consumer]).unwrap();
    // The larger of the two kinds fits its transaction.
    let check = signature_check(&gateway, &second.to_bytes());
    let dispute = case.equivocation(&first.to_bytes());
    let prove = ix::prove_equivocation(consumer.pubkey(), dispute, first.to_bytes().to_vec());
    let message = solana_message::Message::new(&[check.clone(), prove.clone()], Some(&case.desk.payer()));
    assert!(1 + 128 + message.serialize().len() <= 1_232);
    case.desk.send(&[check, prove], &[&consumer]).unwrap();
    assert_eq!(case.desk.net.world.read::<Dispute>(&dispute).state, DisputeState::Proven);
}

#[test]
fn d6_an_honest_gateways_messages_prove_nothing_and_the_bond_is_lost() {
    let mut case = Case::settled(1_000, 5);
    let (gateway, consumer) = (case.desk.gateway(), case.desk.consumer());
    let account = aic_account(&gateway.pubkey());
    let before = case.desk.token(&account);
    let first = case.note(4, 100).to_bytes();
    case.accuse(&first).unwrap();
    // The same again, the next nonce, a forgery, another channel or cluster, another first message.
    assert_refused(case.prove(&first, &gateway, &first), SettleError::NoFault);
    let next = case.note(5, 900).to_bytes();
    assert_refused(case.prove(&first, &gateway, &next), SettleError::NoFault);
    let other = case.note(4, 900);
    assert_refused(case.prove(&first, &consumer, &other.to_bytes()), SettleError::SignatureCheck);
    let elsewhere = ChargeNote { channel: [1; 32], ..other }.to_bytes();
    assert_refused(case.prove(&first, &gateway, &elsewhere), SettleError::NoFault);
    let abroad = ChargeNote { domain: [1; 8], ..other }.to_bytes();
    assert_refused(case.prove(&first, &gateway, &abroad), SettleError::MalformedMessage);
    let check = signature_check(&gateway, &first);
    let unknown = ix::prove_equivocation(consumer.pubkey(), case.equivocation(&first), other.to_bytes().to_vec());
    assert_refused(case.desk.send(&[check, unknown], &[&consumer]), SettleError::NoFault);
    let (check, mallory) = (signature_check(&gateway, &other.to_bytes()), key("mallory"));
    let stolen = ix::prove_equivocation(mallory.pubkey(), case.equivocation(&first), first.to_vec());
    assert_refused(case.desk.send(&[check.clone(), stolen], &[&mallory]), SettleError::NotTheChallenger);

    assert_refused(case.resolve_equivocation(&first, false), SettleError::DisputePending);
    case.desk.advance(RESPONSE_S);
    assert_refused(case.prove(&first, &gateway, &other.to_bytes()), SettleError::DisputeOver);
    assert!(!resolved(&case.resolve_equivocation(&first, false).unwrap()).upheld);
    assert_eq!(case.consumer_aic(), PURSE - BOND);
    assert_eq!(case.desk.token(&account), before + BOND);
    let close = ix::close_dispute(case.equivocation(&first), gateway.pubkey(), case.desk.payer());
    case.desk.send(&[close], &[]).unwrap();
}

#[test]
fn d6_accuses_the_signer_of_a_binding_message() {
    let mut case = Case::settled(1_000, 5);
    let (gateway, consumer, worker) =
        (case.desk.gateway(), case.desk.consumer(), case.desk.net.worker.insecure_clone());
    let note = case.note(4, 100).to_bytes();
    let open = case.equivocation_ix(&note);
    // Unsigned, signed by another, of another cluster, under another key.
    assert_refused(case.desk.send(std::slice::from_ref(&open), &[&consumer]), SettleError::SignatureCheck);
    let forged = signature_check(&consumer, &note);
    assert_refused(case.desk.send(&[forged, open.clone()], &[&consumer]), SettleError::SignatureCheck);
    let other = signature_check(&gateway, &case.note(5, 100).to_bytes());
    assert_refused(case.desk.send(&[other, open.clone()], &[&consumer]), SettleError::NoFault);
    let noise = signature_check(&gateway, &[7; 66]);
    assert_refused(case.desk.send(&[noise, open], &[&consumer]), SettleError::MalformedMessage);
    // A worker's own signature of a receipt binds nobody: an uncountersigned receipt is void.
    let receipt = case.receipt(&case.order(5)).to_bytes();
    let accused = worker.pubkey();
    assert_eq!(ix::message_key(&accused.to_bytes(), &case.domain(), &receipt), None);
    let args = OpenEquivocationArgs { accused, message_key: [1; 32] };
    let open = ix::open_equivocation(case.by(), args);
    let check = signature_check(&worker, &receipt);
    assert_refused(case.desk.send(&[check, open], &[&consumer]), SettleError::MalformedMessage);
}

#[test]
fn d6_pays_challenger_and_insurance_only() {
    let mut case = Case::settled(1_000, 5);
    let gateway = case.desk.gateway();
    let (first, second) = (case.note(4, 100).to_bytes(), case.note(4, 900).to_bytes());
    case.accuse(&first).unwrap();
    case.prove(&first, &gateway, &second).unwrap();
    let accused = gateway.pubkey();
    let right = ix::Outcome { harmed: ix::insurance(), ..case.outcome(case.equivocation(&first), accused, true) };
    let mine = case.desk.net.world.aic_account(&key("mallory").pubkey());
    let harmed = ix::resolve_equivocation(&ix::Outcome { harmed: mine, ..right });
    assert_refused(case.desk.send(&[harmed], &[]), SettleError::AccountMismatch);
    let bond = ix::resolve_equivocation(&ix::Outcome { bond_to: mine, ..right });
    assert_refused(case.desk.send(&[bond], &[]), SettleError::TokenMismatch);
    let party = market::seeds::find_party(&accused, Role::Gateway).0;
    let vendor = market::seeds::find_party(&case.desk.net.vendor.pubkey(), Role::Vendor).0;
    let other = swap(ix::resolve_equivocation(&right), party, vendor);
    assert_refused(case.desk.send(&[other], &[]), SettleError::AccountMismatch);
    // Another kind of dispute does not end here.
    let note = case.note(3, 250);
    case.fill_purse();
    case.open(&note).unwrap();
    let wrong = ix::resolve_equivocation(&ix::Outcome { dispute: case.dispute(), ..right });
    assert_refused(case.desk.send(&[wrong], &[]), SettleError::DisputeState);
    case.desk.send(&[ix::resolve_equivocation(&right)], &[]).unwrap();
}
