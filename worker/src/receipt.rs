//! Receipts: where each line stands, and the worker's signature under what it did.
//!
//! A line is the receipts of one (gateway, epoch, line key). `seq` and `cum` are assigned when the work is finished, under
//! one lock, so a line has neither gaps nor doubles while the process lives. The gateway's store is what counts: on a new
//! session it says how far each line is countersigned, and everything beyond that is void.

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
            Some(next) if self.pricing_epoch.checked_add(1) == Some(amount::pricing_epoch(epoch)) => self.per_1k.min(next),
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
        state.lines = lines
            .iter()
            .filter_map(|line| {
                let gateway = line.gateway[..].try_into().ok()?;
                let line_key = line.line_key[..].try_into().ok()?;
                Some(((gateway, line.epoch, line_key), (line.seq.checked_add(1)?, line.cum_nc)))
            })
            .collect();
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
        let is_overdue = |receipt: &&Receipt| receipt.gateway == gateway.0 && receipt.t_end_ms.saturating_add(limit) < now_ms;
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
        assert_eq!(book.close(&early, opens_ms - 80_000).unwrap().receipt.epoch, 238, "a clock far behind tells its own time");
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
