//! Receipts: where each line stands, and the worker's signature under what it did.
//!
//! A line is the receipts of one (gateway, epoch, line key). `seq` and `cum` are assigned when the work is finished, under
//! one lock, so a line has neither gaps nor doubles while the process lives. The gateway's store is what counts: on a new
//! session it says how far each line is countersigned, and everything beyond that is void. Within a session it may say so
//! again, because a receipt was lost: then only what cannot be on its way any more is void.

use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use waybill_mechanism::{amount, message::Receipt};
use waybill_protocol::{
    WalletId, WorkerId,
    audit::{Chair, Verdict},
    frame::{Ack, LineState},
    signing,
};

/// How much uncountersigned work a gateway is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// A receipt without countersignature is overdue after this.
    pub ack_within: Duration,
    /// With more overdue receipts than this, a gateway gets no work.
    pub max_overdue: usize,
}

impl Default for Trust {
    fn default() -> Self {
        Self { ack_within: Duration::from_secs(10), max_overdue: 8 }
    }
}

/// Price of a stage: frozen per pricing epoch, in nano-credits per 1,000 billable units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    pub per_1k: u64,
    pub pricing_epoch: u32,
    /// Of the pricing epoch after that, where it is already frozen.
    pub next_per_1k: Option<u64>,
}

impl Price {
    /// Unix second at which its pricing epoch begins.
    fn opens_s(&self, epoch_s: u32) -> u64 {
        u64::from(self.pricing_epoch) * u64::from(amount::EPOCHS_PER_PRICING_EPOCH) * u64::from(epoch_s)
    }

    /// The price for work that ends in `epoch`: a job that crosses into the next pricing epoch pays the lower of both.
    pub fn at(&self, epoch: u32) -> u64 {
        match self.next_per_1k {
            Some(next) if self.pricing_epoch.checked_add(1) == Some(amount::pricing_epoch(epoch)) => {
                self.per_1k.min(next)
            }
            _ => self.per_1k,
        }
    }
}

/// Finished work, as far as it is known before its place in a line.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub flags: u8,
    pub det_class: u16,
    pub gateway: [u8; 32],
    pub line_key: [u8; 32],
    pub artifact: [u8; 32],
    pub request_hash: [u8; 32],
    pub input_hash: [u8; 32],
    pub output_hash: [u8; 32],
    pub evidence_hash: [u8; 32],
    pub units_in: u32,
    pub units_out: u32,
    pub price: Price,
    /// The order's ceiling; the receipt never claims more.
    pub max_price_nc: u64,
    pub started_ms: u64,
}

/// A receipt and the worker's signature over its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerReceipt {
    pub receipt: Receipt,
    pub signature: [u8; 64],
}

/// Why there is no receipt for finished work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("the clock is outside the epochs of this network")]
    Clock,
    #[error("the line's totals exceed their range")]
    Range,
}

/// Why a countersignature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    #[error("no receipt with this hash waits for a countersignature")]
    Unknown,
    #[error("the countersignature is not the gateway's")]
    Signature,
}

type LineId = ([u8; 32], u32, [u8; 32]);

#[derive(Default)]
struct State {
    /// Next `seq` and `cum` so far.
    lines: HashMap<LineId, (u32, u64)>,
    waiting: HashMap<[u8; 32], Receipt>,
    newest_epoch: u32,
}

impl State {
    /// Whether a line can go on as it is when the store has it at `told`. Where it is further here, that is so while the
    /// first receipt after `told` continues it and is on its way (it ended at `sent_since` or later), or was acknowledged
    /// after `told` was read.
    fn goes_on(&self, line: &LineId, told: (u32, u64), sent_since: u64) -> bool {
        let (seq, cum_nc) = self.lines.get(line).copied().unwrap_or_default();
        if seq <= told.0 {
            return (seq, cum_nc) == told;
        }
        let first = self.waiting.values().find(|receipt| line_of(receipt) == *line && receipt.seq == told.0);
        first.is_none_or(|first| {
            first.cum_nc.checked_sub(first.price_nc) == Some(told.1) && first.t_end_ms >= sent_since
        })
    }
}

fn line_of(receipt: &Receipt) -> LineId {
    (receipt.gateway, receipt.epoch, receipt.line_key)
}

/// Line and next `(seq, cum)` as told; `None` for one that is malformed.
fn told(line: &LineState) -> Option<(LineId, (u32, u64))> {
    let id = (line.gateway[..].try_into().ok()?, line.epoch, line.line_key[..].try_into().ok()?);
    Some((id, (line.seq.checked_add(1)?, line.cum_nc)))
}

/// All lines of one worker key.
pub struct ReceiptBook {
    key: Keypair,
    domain: [u8; 8],
    epoch_s: u32,
    trust: Trust,
    state: Mutex<State>,
}

/// How far a gateway's clock may be ahead of this one.
const CLOCK_SKEW_MS: u64 = 5_000;
/// How long a receipt may take from here into the gateway's ledger before a line that misses it counts as broken.
const ON_ITS_WAY_MS: u64 = 500;
/// Lines of closed epochs are kept this long, for receipts that end on the boundary.
const KEPT_EPOCHS: u32 = 2;

impl ReceiptBook {
    /// `epoch_s` is the settlement epoch's length, above 0.
    pub fn new(key: Keypair, domain: [u8; 8], epoch_s: u32, trust: Trust) -> Self {
        Self { key, domain, epoch_s: epoch_s.max(1), trust, state: Mutex::default() }
    }

    pub fn worker(&self) -> WorkerId {
        WorkerId(self.key.pubkey().to_bytes())
    }

    pub fn domain(&self) -> [u8; 8] {
        self.domain
    }

    /// Signs a session's challenge.
    pub fn sign_hello(&self, nonce: &[u8]) -> [u8; 64] {
        signing::sign(&self.key, &signing::hello_message(&self.domain, nonce))
    }

    /// Signs what this worker found about another one's receipt, also for its chair on chain where one is named.
    pub fn sign_verdict(&self, verdict: &mut Verdict, chair: Option<&Chair>) {
        verdict.sign(&self.domain, &self.key);
        if let Some(chair) = chair {
            verdict.sign_chair(&self.domain, chair, &self.key);
        }
    }

    /// Gives finished work the next place in its line and signs it.
    pub fn close(&self, work: &Work, now_ms: u64) -> Result<WorkerReceipt, ReceiptError> {
        let mut t_end_ms = now_ms.max(work.started_ms);
        // The gateway quoted a pricing epoch that this clock has not reached: its clock is a little ahead.
        let opens_ms = work.price.opens_s(self.epoch_s).saturating_mul(1_000);
        if (t_end_ms..=t_end_ms.saturating_add(CLOCK_SKEW_MS)).contains(&opens_ms) {
            t_end_ms = opens_ms;
        }
        let epoch = u32::try_from(t_end_ms / 1_000 / u64::from(self.epoch_s)).map_err(|_| ReceiptError::Clock)?;
        let units = u64::from(work.units_in) + u64::from(work.units_out);
        let price_nc = amount::price_nc(units, work.price.at(epoch)).ok_or(ReceiptError::Range)?.min(work.max_price_nc);
        let line = (work.gateway, epoch, work.line_key);
        let mut state = self.state();
        if epoch > state.newest_epoch {
            state.newest_epoch = epoch;
            state.lines.retain(|(_, of, _), _| of.saturating_add(KEPT_EPOCHS) >= epoch);
        }
        let (seq, before) = state.lines.get(&line).copied().unwrap_or_default();
        let cum_nc = before.checked_add(price_nc).ok_or(ReceiptError::Range)?;
        state.lines.insert(line, (seq.checked_add(1).ok_or(ReceiptError::Range)?, cum_nc));
        let receipt = Receipt {
            flags: work.flags,
            det_class: work.det_class,
            domain: self.domain,
            epoch,
            seq,
            gateway: work.gateway,
            worker: self.worker().0,
            line_key: work.line_key,
            artifact: work.artifact,
            request_hash: work.request_hash,
            input_hash: work.input_hash,
            output_hash: work.output_hash,
            evidence_hash: work.evidence_hash,
            units_in: work.units_in,
            units_out: work.units_out,
            price_nc,
            cum_nc,
            t_start_ms: work.started_ms,
            t_end_ms,
        };
        state.waiting.insert(receipt.hash(), receipt);
        drop(state);
        Ok(WorkerReceipt { signature: signing::sign(&self.key, &receipt.to_bytes()), receipt })
    }

    /// Replaces every line by what is countersigned; receipts that still waited are void.
    pub fn welcome(&self, lines: &[LineState]) {
        let mut state = self.state();
        state.waiting.clear();
        state.lines = lines.iter().filter_map(told).collect();
    }

    /// Within a session: sets the lines that are broken to what is countersigned (a line that is not named has nothing
    /// yet), and leaves those alone whose receipts may still be on their way. Returns how many lines were broken.
    pub fn resync(&self, lines: &[LineState], now_ms: u64) -> usize {
        let sent_since = now_ms.saturating_sub(ON_ITS_WAY_MS);
        let stored: HashMap<LineId, (u32, u64)> = lines.iter().filter_map(told).collect();
        let mut state = self.state();
        let ids: HashSet<LineId> = state.lines.keys().chain(stored.keys()).copied().collect();
        let mut broken = 0;
        for id in ids {
            let told = stored.get(&id).copied().unwrap_or_default();
            if state.goes_on(&id, told, sent_since) {
                // Countersigned, only the acknowledgement is missing.
                state.waiting.retain(|_, receipt| line_of(receipt) != id || receipt.seq >= told.0);
            } else {
                broken += 1;
                state.waiting.retain(|_, receipt| line_of(receipt) != id);
                state.lines.insert(id, told);
            }
        }
        broken
    }

    /// Takes a countersignature.
    pub fn acknowledge(&self, ack: &Ack) -> Result<(), AckError> {
        let hash: [u8; 32] = ack.receipt_hash[..].try_into().map_err(|_| AckError::Unknown)?;
        let receipt = self.state().waiting.get(&hash).copied().ok_or(AckError::Unknown)?;
        if !signing::verify(&receipt.gateway, &receipt.to_bytes(), &ack.gateway_signature) {
            return Err(AckError::Signature);
        }
        self.state().waiting.remove(&hash);
        Ok(())
    }

    /// Receipts of this gateway that wait longer than they should.
    pub fn overdue(&self, gateway: &WalletId, now_ms: u64) -> usize {
        let limit = self.trust.ack_within.as_millis() as u64;
        let is_overdue =
            |receipt: &&Receipt| receipt.gateway == gateway.0 && receipt.t_end_ms.saturating_add(limit) < now_ms;
        self.state().waiting.values().filter(is_overdue).count()
    }

    /// Whether the gateway countersigns reliably enough to get more work.
    pub fn trusts(&self, gateway: &WalletId, now_ms: u64) -> bool {
        self.overdue(gateway, now_ms) <= self.trust.max_overdue
    }

    /// Whether any gateway owes more than it is trusted with.
    pub fn distrusts_any(&self, now_ms: u64) -> bool {
        let gateways: HashSet<[u8; 32]> = self.state().waiting.values().map(|receipt| receipt.gateway).collect();
        gateways.into_iter().any(|gateway| !self.trusts(&WalletId(gateway), now_ms))
    }

    /// Receipts that wait for a countersignature.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SHA-256, as the receipt names outputs.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use waybill_protocol::SignedReceipt;

    const EPOCH_S: u32 = 60;

    fn book() -> ReceiptBook {
        ReceiptBook::new(Keypair::new(), *b"testtest", EPOCH_S, Trust::default())
    }

    fn work(gateway: &Keypair, line_key: u8) -> Work {
        Work {
            flags: 0,
            det_class: 1,
            gateway: gateway.pubkey().to_bytes(),
            line_key: [line_key; 32],
            artifact: [1; 32],
            request_hash: [2; 32],
            input_hash: [3; 32],
            output_hash: [4; 32],
            evidence_hash: [5; 32],
            units_in: 1_500,
            units_out: 501,
            price: Price { per_1k: 1_000, pricing_epoch: 10, next_per_1k: Some(600) },
            max_price_nc: 1_000_000,
            started_ms: 14_400_000,
        }
    }

    fn ack(signed: &WorkerReceipt, gateway: &Keypair) -> Ack {
        Ack {
            worker: signed.receipt.worker.to_vec().into(),
            receipt_hash: signed.receipt.hash().to_vec().into(),
            gateway_signature: signing::sign(gateway, &signed.receipt.to_bytes()).to_vec().into(),
        }
    }

    #[test]
    fn lines_continue_without_gaps_and_verify() {
        let (book, gateway) = (book(), Keypair::new());
        let mut last = None;
        for _ in 0..3 {
            let signed = book.close(&work(&gateway, 7), 14_401_000).unwrap();
            assert!(signed.receipt.continues(last.as_ref()));
            let verified = SignedReceipt::verify_worker(&signed.receipt.to_bytes(), &signed.signature).unwrap();
            assert_eq!(verified.price_nc, 2_001);
            last = Some(signed.receipt);
        }
        assert_eq!(book.close(&work(&gateway, 8), 14_401_000).unwrap().receipt.seq, 0, "another line starts at 0");
        assert_eq!(book.close(&work(&gateway, 7), 14_460_000).unwrap().receipt.seq, 0, "so does another epoch");
    }

    #[test]
    fn concurrent_work_on_one_line_has_no_gap_and_no_double() {
        let (book, gateway) = (book(), Keypair::new());
        let work = work(&gateway, 7);
        let mut receipts: Vec<Receipt> = std::thread::scope(|scope| {
            let close = || (0..25).map(|_| book.close(&work, 14_401_000).unwrap().receipt).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(close)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        receipts.sort_by_key(|receipt| receipt.seq);
        let previous = std::iter::once(None).chain(receipts.iter().map(Some));
        assert!(receipts.iter().zip(previous).all(|(receipt, before)| receipt.continues(before)));
    }

    #[test]
    fn a_job_across_a_pricing_boundary_pays_the_lower_price() {
        let price = Price { per_1k: 1_000, pricing_epoch: 10, next_per_1k: Some(600) };
        assert_eq!(price.at(10 * 24 + 23), 1_000);
        assert_eq!(price.at(11 * 24), 600);
        assert_eq!(price.at(12 * 24), 1_000, "two epochs later the quote stands");
        assert_eq!(Price { next_per_1k: Some(2_000), ..price }.at(11 * 24), 1_000);
        assert_eq!(Price { next_per_1k: None, ..price }.at(11 * 24), 1_000);
    }

    #[test]
    fn a_clock_slightly_behind_the_gateways_ends_in_the_quoted_pricing_epoch() {
        let (book, gateway) = (book(), Keypair::new());
        let opens_ms = 10 * 24 * 60 * 1_000;
        let work = Work { started_ms: opens_ms - 2_000, ..work(&gateway, 7) };
        let receipt = book.close(&work, opens_ms - 1_000).unwrap().receipt;
        assert_eq!((receipt.t_end_ms, receipt.epoch), (opens_ms, 240));
        let early = Work { started_ms: opens_ms - 90_000, ..work };
        assert_eq!(
            book.close(&early, opens_ms - 80_000).unwrap().receipt.epoch,
            238,
            "a clock far behind tells its own time"
        );
    }

    #[test]
    fn a_receipt_never_claims_more_than_the_order_allows() {
        let (book, gateway) = (book(), Keypair::new());
        let work = Work { max_price_nc: 5, ..work(&gateway, 7) };
        assert_eq!(book.close(&work, 14_401_000).unwrap().receipt.price_nc, 5);
    }

    #[test]
    fn a_welcome_sets_the_lines_back_to_what_is_countersigned() {
        let (book, gateway) = (book(), Keypair::new());
        let first = book.close(&work(&gateway, 7), 14_401_000).unwrap().receipt;
        book.close(&work(&gateway, 7), 14_401_000).unwrap();
        book.welcome(&[LineState {
            gateway: first.gateway.to_vec().into(),
            line_key: first.line_key.to_vec().into(),
            epoch: first.epoch,
            seq: first.seq,
            cum_nc: first.cum_nc,
        }]);
        assert_eq!(book.waiting(), 0);
        assert!(book.close(&work(&gateway, 7), 14_402_000).unwrap().receipt.continues(Some(&first)));
    }

    const NOW: u64 = 14_401_000;
    const LATER: u64 = NOW + ON_ITS_WAY_MS + 1;

    fn stands_at(receipt: &Receipt) -> LineState {
        LineState {
            gateway: receipt.gateway.to_vec().into(),
            line_key: receipt.line_key.to_vec().into(),
            epoch: receipt.epoch,
            seq: receipt.seq,
            cum_nc: receipt.cum_nc,
        }
    }

    #[test]
    fn a_resync_goes_back_to_a_lost_receipt_once_it_cannot_be_on_its_way_any_more() {
        let (book, gateway) = (book(), Keypair::new());
        let close = |now| book.close(&work(&gateway, 7), now).unwrap();
        let stored = close(NOW);
        book.acknowledge(&ack(&stored, &gateway)).unwrap();
        close(NOW); // is lost
        let follower = close(NOW).receipt;
        let lines = [stands_at(&stored.receipt)];
        assert_eq!(book.resync(&lines, NOW), 0, "both may still arrive");
        assert!(close(NOW).receipt.continues(Some(&follower)));
        assert_eq!(book.resync(&lines, LATER), 1);
        assert_eq!(book.waiting(), 0, "what followed the lost receipt is void");
        assert!(close(LATER).receipt.continues(Some(&stored.receipt)));
        assert_eq!(book.resync(&lines, LATER), 0);
    }

    #[test]
    fn a_resync_of_a_line_without_stored_receipts_starts_it_again() {
        let (book, gateway) = (book(), Keypair::new());
        book.close(&work(&gateway, 7), NOW).unwrap();
        assert_eq!(book.resync(&[], NOW), 0);
        assert_eq!(book.resync(&[], LATER), 1);
        assert!(book.close(&work(&gateway, 7), LATER).unwrap().receipt.continues(None));
    }

    #[test]
    fn a_resync_told_before_an_acknowledgement_changes_nothing() {
        let (book, gateway) = (book(), Keypair::new());
        let signed: Vec<_> = (0..3).map(|_| book.close(&work(&gateway, 7), NOW).unwrap()).collect();
        for signed in &signed {
            book.acknowledge(&ack(signed, &gateway)).unwrap();
        }
        assert_eq!(book.resync(&[stands_at(&signed[0].receipt)], LATER), 0);
        assert_eq!(book.resync(&[], LATER), 0);
        assert!(book.close(&work(&gateway, 7), LATER).unwrap().receipt.continues(Some(&signed[2].receipt)));
    }

    #[test]
    fn a_resync_knows_stored_receipts_whose_acknowledgement_was_lost() {
        let (book, gateway) = (book(), Keypair::new());
        let signed: Vec<_> = (0..3).map(|_| book.close(&work(&gateway, 7), NOW).unwrap()).collect();
        assert_eq!(book.resync(&[stands_at(&signed[1].receipt)], NOW), 0);
        assert_eq!(book.waiting(), 1);
        assert!(book.close(&work(&gateway, 7), NOW).unwrap().receipt.continues(Some(&signed[2].receipt)));
    }

    #[test]
    fn a_resync_catches_up_with_a_store_that_is_ahead_or_has_other_receipts() {
        let (book, gateway) = (book(), Keypair::new());
        let first = book.close(&work(&gateway, 7), NOW).unwrap().receipt;
        let ahead = Receipt { seq: 5, cum_nc: 9_000, ..first };
        assert_eq!(
            book.resync(&[stands_at(&ahead)], NOW),
            1,
            "a receipt went back too far and the old ones were stored"
        );
        let next = book.close(&work(&gateway, 7), NOW).unwrap().receipt;
        assert!(next.continues(Some(&ahead)));
        let other = Receipt { cum_nc: next.cum_nc + 1, ..next };
        assert_eq!(book.resync(&[stands_at(&other)], NOW), 1, "the same number, another sum");
        let next = book.close(&work(&gateway, 7), NOW).unwrap().receipt;
        assert!(next.continues(Some(&other)));
    }

    #[test]
    fn a_resync_leaves_healthy_lines_alone() {
        let (book, gateway) = (book(), Keypair::new());
        let (broken, healthy) =
            (book.close(&work(&gateway, 7), NOW).unwrap(), book.close(&work(&gateway, 8), LATER).unwrap());
        assert_eq!(book.resync(&[], LATER), 1);
        assert!(book.close(&work(&gateway, 8), LATER).unwrap().receipt.continues(Some(&healthy.receipt)));
        assert_eq!(book.close(&work(&gateway, 7), LATER).unwrap().receipt.seq, broken.receipt.seq);
        book.acknowledge(&ack(&healthy, &gateway)).unwrap();
    }

    /// One line, pipelined: receipts, acknowledgements and welcomes overtake each other, receipts and acknowledgements are
    /// lost, and the gateway stores only what continues the line.
    struct Traffic {
        book: ReceiptBook,
        gateway: Keypair,
        now: u64,
        random: u64,
        /// Prices differ, so that a void receipt hardly ever fits by chance; where they do not, it may.
        prices_differ: bool,
        stored: Option<Receipt>,
        /// Receipts by when they reach the gateway, those that wait there, acknowledgements, welcomes.
        sent: Vec<(u64, WorkerReceipt)>,
        held: Vec<(u64, WorkerReceipt)>,
        acks: Vec<(u64, Ack)>,
        welcomes: Vec<(u64, Vec<LineState>)>,
        next_resync: u64,
        /// When the last receipt that was refused had been signed.
        refused: u64,
    }

    impl Traffic {
        fn below(&mut self, n: u64) -> u64 {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 33) % n
        }

        fn ask_for_resync(&mut self) {
            if self.now >= self.next_resync {
                self.next_resync = self.now + 250;
                let arrives = self.now + self.below(100);
                self.welcomes.push((arrives, self.stored.iter().map(stands_at).collect()));
            }
        }

        /// What the gateway does with its receipts, in the order of their numbers.
        fn commit(&mut self) {
            let mut held = std::mem::take(&mut self.held);
            held.sort_by_key(|(_, signed)| signed.receipt.seq);
            for (since, signed) in held {
                let receipt = signed.receipt;
                if receipt.continues(self.stored.as_ref()) {
                    self.stored = Some(receipt);
                    if self.below(10) > 0 {
                        let arrives = self.now + self.below(100);
                        self.acks.push((arrives, ack(&signed, &self.gateway)));
                    }
                    continue;
                }
                let next = self.stored.map_or(0, |stored| stored.seq + 1);
                let (waits, waited) = (receipt.seq > next, self.now - since);
                if !waits || waited >= 250 {
                    self.ask_for_resync();
                }
                if waits && waited < 1_000 {
                    self.held.push((since, signed));
                } else {
                    self.refused = self.refused.max(receipt.t_end_ms);
                }
            }
        }

        fn step(&mut self, loses: bool) {
            self.now += 5;
            let now = self.now;
            if self.below(3) == 0 {
                let units_out = if self.prices_differ { self.below(1_000) as u32 } else { 0 };
                let signed = self.book.close(&Work { units_out, ..work(&self.gateway, 7) }, now).unwrap();
                if !(loses && self.below(20) == 0) {
                    let arrives = now + self.below(150);
                    self.sent.push((arrives, signed));
                }
            }
            self.held.extend(self.sent.extract_if(.., |(at, _)| *at <= now));
            self.commit();
            for (_, ack) in self.acks.extract_if(.., |(at, _)| *at <= now) {
                // Unknown where a resync was quicker.
                let _ = self.book.acknowledge(&ack);
            }
            for (_, lines) in self.welcomes.extract_if(.., |(at, _)| *at <= now) {
                self.book.resync(&lines, now);
            }
        }
    }

    #[test]
    fn a_busy_line_goes_on_about_a_second_after_the_last_loss() {
        for (random, prices_differ) in (1..=8).flat_map(|seed| [(seed, true), (seed, false)]) {
            let mut traffic = Traffic {
                book: book(),
                gateway: Keypair::new(),
                now: NOW,
                random,
                prices_differ,
                stored: None,
                sent: vec![],
                held: vec![],
                acks: vec![],
                welcomes: vec![],
                next_resync: 0,
                refused: 0,
            };
            while traffic.now < NOW + 3_000 {
                traffic.step(true);
            }
            let last_loss = traffic.now;
            while traffic.now < NOW + 7_000 {
                traffic.step(false);
            }
            let mended = traffic.refused.saturating_sub(last_loss);
            assert!(mended <= 1_500, "seed {random}, prices differ: {prices_differ}: {mended} ms");
            let stored = traffic.stored.unwrap();
            assert!(stored.t_end_ms + 200 > traffic.now, "the line still grows");
        }
    }

    #[test]
    fn only_the_gateways_signature_acknowledges() {
        let (book, gateway) = (book(), Keypair::new());
        let signed = book.close(&work(&gateway, 7), 14_401_000).unwrap();
        assert_eq!(book.acknowledge(&ack(&signed, &Keypair::new())), Err(AckError::Signature));
        assert_eq!(book.waiting(), 1);
        book.acknowledge(&ack(&signed, &gateway)).unwrap();
        assert_eq!(book.waiting(), 0);
        assert_eq!(book.acknowledge(&ack(&signed, &gateway)), Err(AckError::Unknown));
    }

    #[test]
    fn a_gateway_that_does_not_countersign_gets_no_more_work() {
        let (book, gateway) = (book(), Keypair::new());
        let id = WalletId(gateway.pubkey().to_bytes());
        let signed: Vec<_> = (0..9).map(|_| book.close(&work(&gateway, 7), 14_401_000).unwrap()).collect();
        assert!(book.trusts(&id, 14_411_000), "not overdue yet");
        assert!(!book.trusts(&id, 14_411_001));
        assert!(book.trusts(&WalletId([9; 32]), 14_411_001), "another gateway is not affected");
        book.acknowledge(&ack(&signed[0], &gateway)).unwrap();
        assert!(book.trusts(&id, 14_411_001));
    }
}
