//! Does a receipt say exactly what happened? Every field against what this gateway sent and saw; what a receipt must continue
//! (`seq`, `cum_nc`) is the ledger's to know.

use waybill_mechanism::amount;
use waybill_mechanism::message::{Receipt, line_key};
use waybill_protocol::{ArtifactId, ContainerId, SignedReceipt, WalletId, WorkerId};

/// How far a worker's clock may be from ours.
pub const CLOCK_SKEW_MS: u64 = 30_000;

/// What the gateway knows about the work a receipt is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    pub domain: [u8; 8],
    pub epoch_s: u32,
    pub gateway: WalletId,
    /// The worker the job went to, and the determinism class it is registered with.
    pub worker: WorkerId,
    pub det_class: Option<u16>,
    pub container: ContainerId,
    pub stage: u8,
    pub referrer: WalletId,
    pub artifact: ArtifactId,
    /// Hash of the order.
    pub request_hash: [u8; 32],
    pub input_hash: [u8; 32],
    pub flags: u8,
    /// Most units of the prompt, and of the answer (0 for embeddings).
    pub max_units_in: u64,
    pub max_units_out: u32,
    pub price_per_1k: u64,
    pub pricing_epoch: u32,
    pub next_price_per_1k: Option<u64>,
    pub max_price_nc: u64,
    /// When the job left, unix milliseconds.
    pub sent_ms: u64,
}

/// The field of a receipt that contradicts what happened: also the label in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    #[error("signature or bytes")]
    Signature,
    #[error("domain")]
    Domain,
    #[error("gateway")]
    Gateway,
    #[error("worker")]
    Worker,
    #[error("det_class")]
    DetClass,
    #[error("line_key")]
    LineKey,
    #[error("artifact")]
    Artifact,
    #[error("request_hash")]
    RequestHash,
    #[error("input_hash")]
    InputHash,
    #[error("output_hash")]
    OutputHash,
    #[error("flags")]
    Flags,
    #[error("units_in")]
    UnitsIn,
    #[error("units_out")]
    UnitsOut,
    #[error("price")]
    Price,
    #[error("times")]
    Times,
    #[error("epoch")]
    Epoch,
}

impl Breach {
    pub fn label(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Domain => "domain",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::DetClass => "det_class",
            Self::LineKey => "line_key",
            Self::Artifact => "artifact",
            Self::RequestHash => "request_hash",
            Self::InputHash => "input_hash",
            Self::OutputHash => "output_hash",
            Self::Flags => "flags",
            Self::UnitsIn => "units_in",
            Self::UnitsOut => "units_out",
            Self::Price => "price",
            Self::Times => "times",
            Self::Epoch => "epoch",
        }
    }
}

/// Reads a worker's receipt and holds it against the work; `output` is the hash of what reached this gateway, and
/// `produced` whether that was anything.
pub fn receipt(
    bytes: &[u8],
    worker_signature: &[u8],
    expected: &Expected,
    output: [u8; 32],
    produced: bool,
    now_ms: u64,
) -> Result<Receipt, Breach> {
    let receipt = SignedReceipt::verify_worker(bytes, worker_signature).map_err(|_| Breach::Signature)?;
    let e = expected;
    let line = line_key(&e.container.0, e.stage, &e.worker.0, &e.referrer.0);
    let epoch = receipt.t_end_ms / 1000 / u64::from(e.epoch_s.max(1));
    // An answer is counted in units exactly when there is one; a model may end at once, having produced nothing.
    let units_out_fit =
        receipt.units_out <= e.max_units_out && (receipt.units_out > 0 || !produced || e.max_units_out == 0);
    let checks = [
        (receipt.domain == e.domain, Breach::Domain),
        (receipt.gateway == e.gateway.0, Breach::Gateway),
        (receipt.worker == e.worker.0, Breach::Worker),
        (e.det_class.is_none_or(|class| class == receipt.det_class), Breach::DetClass),
        (receipt.line_key == line, Breach::LineKey),
        (receipt.artifact == e.artifact.0, Breach::Artifact),
        (receipt.request_hash == e.request_hash, Breach::RequestHash),
        (receipt.input_hash == e.input_hash, Breach::InputHash),
        (receipt.output_hash == output, Breach::OutputHash),
        (receipt.flags == e.flags, Breach::Flags),
        (receipt.units_in > 0 && u64::from(receipt.units_in) <= e.max_units_in, Breach::UnitsIn),
        (units_out_fit, Breach::UnitsOut),
        (receipt.t_start_ms.saturating_add(CLOCK_SKEW_MS) >= e.sent_ms, Breach::Times),
        (receipt.t_end_ms <= now_ms.saturating_add(CLOCK_SKEW_MS), Breach::Times),
        (u64::from(receipt.epoch) == epoch, Breach::Epoch),
        (Some(receipt.price_nc) == price(&receipt, e) && receipt.price_nc <= e.max_price_nc, Breach::Price),
    ];
    match checks.into_iter().find(|(holds, _)| !holds) {
        None => Ok(receipt),
        Some((_, breach)) => Err(breach),
    }
}

/// The one right price: at the quoted pricing epoch's rate, or at the lower of two when the work ended in the next one.
fn price(receipt: &Receipt, e: &Expected) -> Option<u64> {
    let ended_in = amount::pricing_epoch(receipt.epoch);
    let per_1k = if ended_in == e.pricing_epoch {
        e.price_per_1k
    } else if Some(ended_in) == e.pricing_epoch.checked_add(1) {
        e.next_price_per_1k.map_or(e.price_per_1k, |next| next.min(e.price_per_1k))
    } else {
        return None;
    };
    amount::price_nc(u64::from(receipt.units_in) + u64::from(receipt.units_out), per_1k)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use solana_keypair::Keypair;
    use solana_signer::Signer;
    use waybill_mechanism::message::flags;
    use waybill_protocol::signing;

    const NOW: u64 = 1_700_000_000_000;
    const EPOCH_S: u32 = 60;
    const OUTPUT: [u8; 32] = [9; 32];

    fn expected(worker: &Keypair) -> Expected {
        let epoch = u32::try_from(NOW / 1000 / u64::from(EPOCH_S)).unwrap();
        Expected {
            domain: [1; 8],
            epoch_s: EPOCH_S,
            gateway: WalletId([2; 32]),
            worker: WorkerId(worker.pubkey().to_bytes()),
            det_class: Some(3),
            container: ContainerId([4; 32]),
            stage: 0,
            referrer: WalletId::NONE,
            artifact: ArtifactId([5; 32]),
            request_hash: [6; 32],
            input_hash: [7; 32],
            flags: flags::DELEGATED,
            max_units_in: 100,
            max_units_out: 50,
            price_per_1k: 1000,
            pricing_epoch: amount::pricing_epoch(epoch),
            next_price_per_1k: None,
            max_price_nc: 150,
            sent_ms: NOW - 100,
        }
    }

    fn good(e: &Expected) -> Receipt {
        Receipt {
            flags: e.flags,
            det_class: 3,
            domain: e.domain,
            epoch: u32::try_from(NOW / 1000 / u64::from(EPOCH_S)).unwrap(),
            seq: 0,
            gateway: e.gateway.0,
            worker: e.worker.0,
            line_key: line_key(&e.container.0, e.stage, &e.worker.0, &e.referrer.0),
            artifact: e.artifact.0,
            request_hash: e.request_hash,
            input_hash: e.input_hash,
            output_hash: OUTPUT,
            evidence_hash: [0; 32],
            units_in: 60,
            units_out: 40,
            price_nc: 100,
            cum_nc: 100,
            t_start_ms: NOW - 50,
            t_end_ms: NOW,
        }
    }

    fn verdict(worker: &Keypair, e: &Expected, receipt: &Receipt) -> Result<Receipt, Breach> {
        let bytes = receipt.to_bytes();
        super::receipt(&bytes, &signing::sign(worker, &bytes), e, OUTPUT, true, NOW)
    }

    #[test]
    fn an_honest_receipt_passes_and_every_changed_field_is_named() {
        let worker = Keypair::new();
        let e = expected(&worker);
        assert_eq!(verdict(&worker, &e, &good(&e)), Ok(good(&e)));

        type Change = fn(&mut Receipt);
        let changes: [(Change, Breach); 22] = [
            (|r| r.domain = [0; 8], Breach::Domain),
            (|r| r.gateway = [0; 32], Breach::Gateway),
            (|r| r.det_class = 0, Breach::DetClass),
            (|r| r.line_key = [0; 32], Breach::LineKey),
            (|r| r.artifact = [0; 32], Breach::Artifact),
            (|r| r.request_hash = [0; 32], Breach::RequestHash),
            (|r| r.input_hash = [0; 32], Breach::InputHash),
            (|r| r.output_hash = [0; 32], Breach::OutputHash),
            (|r| r.flags |= flags::STREAMED, Breach::Flags),
            (|r| r.flags = 0, Breach::Flags),
            (|r| r.units_in = 0, Breach::UnitsIn),
            (|r| r.units_in = 101, Breach::UnitsIn),
            (|r| r.units_out = 0, Breach::UnitsOut),
            (|r| r.units_out = 51, Breach::UnitsOut),
            (|r| r.price_nc = 101, Breach::Price),
            (|r| r.price_nc = 99, Breach::Price),
            (|r| r.t_start_ms = NOW - 100 - CLOCK_SKEW_MS - 1, Breach::Times),
            (|r| r.t_end_ms = NOW + CLOCK_SKEW_MS + 1, Breach::Times),
            (|r| r.epoch += 1, Breach::Epoch),
            (|r| r.epoch -= 1, Breach::Epoch),
            (|r| r.units_in = 61, Breach::Price),
            (|r| r.worker = [1; 32], Breach::Signature),
        ];
        for (i, (change, breach)) in changes.into_iter().enumerate() {
            let mut receipt = good(&e);
            change(&mut receipt);
            receipt.cum_nc = receipt.cum_nc.max(receipt.price_nc);
            assert_eq!(verdict(&worker, &e, &receipt), Err(breach), "change {i}");
        }
    }

    #[test]
    fn another_workers_good_signature_is_still_the_wrong_worker() {
        let (worker, other) = (Keypair::new(), Keypair::new());
        let e = expected(&worker);
        let receipt = Receipt { worker: other.pubkey().to_bytes(), ..good(&e) };
        assert_eq!(verdict(&other, &e, &receipt), Err(Breach::Worker));
    }

    #[test]
    fn work_that_crosses_a_pricing_boundary_pays_the_lower_price() {
        let worker = Keypair::new();
        let quoted_before = |next| {
            let e = expected(&worker);
            Expected { pricing_epoch: e.pricing_epoch - 1, next_price_per_1k: next, ..e }
        };
        let priced =
            |e: &Expected, price_nc| verdict(&worker, e, &Receipt { price_nc, cum_nc: 1000, ..good(e) }).is_ok();
        assert!(priced(&quoted_before(Some(500)), 50));
        assert!(!priced(&quoted_before(Some(500)), 100));
        assert!(priced(&quoted_before(Some(2000)), 100));
        assert!(priced(&quoted_before(None), 100));
        let e = expected(&worker);
        assert!(!priced(&Expected { pricing_epoch: e.pricing_epoch - 2, ..e }, 100));
    }

    #[test]
    fn a_price_above_the_order_is_refused_even_when_it_is_the_right_one() {
        let worker = Keypair::new();
        let e = Expected { max_price_nc: 99, ..expected(&worker) };
        assert_eq!(verdict(&worker, &e, &good(&e)), Err(Breach::Price));
    }
}
