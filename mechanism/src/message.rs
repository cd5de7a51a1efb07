//! The signed messages and the settlement leaf: fixed-size, packed little-endian records with pub fields.
//! `to_bytes` is what is signed and hashed; `from_bytes` accepts only records that satisfy their own invariants.

use solana_sha256_hasher::{hash as sha256, hashv};

/// A 32-byte public key, address or SHA-256 digest.
pub type Bytes32 = [u8; 32];
/// First eight bytes of the deployment's hash, in every signed message; see [`domain`].
pub type Domain = [u8; 8];

/// `referrer` of a request nobody referred.
pub const NO_REFERRER: Bytes32 = [0; 32];

/// Why bytes are not a message of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The record has one size only.
    #[error("message has the wrong length")]
    Length,
    /// The magic bytes are another kind's.
    #[error("message has the wrong magic")]
    Magic,
    /// A version this code does not know.
    #[error("message has an unknown version")]
    Version,
    /// A reserved bit or byte is set.
    #[error("message has a reserved bit set")]
    Reserved,
    /// A part exceeds its cumulative total, or `acked_nc` exceeds `cum_nc`.
    #[error("message amounts contradict each other")]
    Amounts,
    /// `t_start_ms` is after `t_end_ms`.
    #[error("message ends before it starts")]
    Times,
    /// A line covers no receipt.
    #[error("line covers no receipt")]
    EmptyLine,
}

/// Consumer → gateway: accepts charges up to `acked_nc` and spending up to `cum_nc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// Deployment.
    pub domain: Domain,
    /// Channel PDA.
    pub channel: Bytes32,
    /// Strictly increasing per channel.
    pub nonce: u64,
    /// Cumulative charge the consumer accepts.
    pub acked_nc: u64,
    /// Ceiling: `acked_nc` plus the maximum prices in flight including this request's.
    pub cum_nc: u64,
    /// Unix seconds; 0 = never.
    pub expires: i64,
    /// See [`ctx_hash`].
    pub ctx_hash: Bytes32,
}

/// Gateway → consumer: what one nonce was charged, and the running total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargeNote {
    /// Deployment.
    pub domain: Domain,
    /// Channel PDA.
    pub channel: Bytes32,
    /// Nonce of the voucher or order.
    pub nonce: u64,
    /// Charge of this nonce.
    pub charge_nc: u64,
    /// Σ charges of nonces up to and including this one.
    pub cum_charged_nc: u64,
}

/// Gateway → worker in delegated mode: the voucher's counterpart for clients that cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Deployment.
    pub domain: Domain,
    /// Channel PDA.
    pub channel: Bytes32,
    /// Nonce the gateway assigned, in the channel's one sequence.
    pub nonce: u64,
    /// The most this request may cost.
    pub max_price_nc: u64,
    /// See [`ctx_hash`].
    pub ctx_hash: Bytes32,
}

/// One stage of one served request, signed by the worker and then by the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Bits of [`flags`].
    pub flags: u8,
    /// Determinism class the worker ran in.
    pub det_class: u16,
    /// Deployment.
    pub domain: Domain,
    /// Settlement epoch of `t_end_ms`.
    pub epoch: u32,
    /// 0, 1, 2 … per (gateway, epoch, line key).
    pub seq: u32,
    /// Gateway key.
    pub gateway: Bytes32,
    /// Worker key.
    pub worker: Bytes32,
    /// See [`line_key`].
    pub line_key: Bytes32,
    /// Hash of the model actually loaded.
    pub artifact: Bytes32,
    /// Hash of the voucher or order.
    pub request_hash: Bytes32,
    /// Hash of the input.
    pub input_hash: Bytes32,
    /// Hash of the output.
    pub output_hash: Bytes32,
    /// Hash of the evidence blob (top logits per position, or the raw output).
    pub evidence_hash: Bytes32,
    /// Input BU.
    pub units_in: u32,
    /// Output BU.
    pub units_out: u32,
    /// This stage's part of the charge.
    pub price_nc: u64,
    /// Σ `price_nc` for (gateway, epoch, line key), including this.
    pub cum_nc: u64,
    /// Unix milliseconds.
    pub t_start_ms: u64,
    /// Unix milliseconds.
    pub t_end_ms: u64,
}

/// Bits of [`Receipt::flags`]; all others are zero.
pub mod flags {
    /// Placed by promotion.
    pub const SPONSORED: u8 = 1;
    /// Served from a cache.
    pub const CACHED: u8 = 1 << 1;
    /// Answered as a stream.
    pub const STREAMED: u8 = 1 << 2;
    /// Paid through the channel's grant (the request is an order, not a voucher).
    pub const DELEGATED: u8 = 1 << 3;
    /// Every bit that has a meaning.
    pub const ALL: u8 = SPONSORED | CACHED | STREAMED | DELEGATED;
}

/// Verifier → chain: what one chair of an audit found. Signed by the node that holds the chair's seat; anyone delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the output matches by the rule of its determinism class.
    pub pass: bool,
    /// Chair of the audit, 0 … 7.
    pub chair: u8,
    /// Deployment.
    pub domain: Domain,
    /// Audit PDA.
    pub audit: Bytes32,
    /// The audited receipt.
    pub receipt_hash: Bytes32,
    /// Hash of the verifier's own output.
    pub output_hash: Bytes32,
    /// Hash of the verifier's own evidence.
    pub evidence_hash: Bytes32,
}

/// Settlement leaf: the receipts of one (container, stage, worker, referrer) in one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Stage of the container.
    pub stage: u8,
    /// Settlement epoch.
    pub epoch: u32,
    /// Position of this line in its tree.
    pub index: u32,
    /// Container id.
    pub container: Bytes32,
    /// Worker key.
    pub worker: Bytes32,
    /// Curator who brought the consumer, or [`NO_REFERRER`].
    pub referrer: Bytes32,
    /// Index of the first receipt in the receipts tree.
    pub first_receipt: u32,
    /// Receipts covered, contiguous from `first_receipt`.
    pub n_receipts: u32,
    /// `last.cum - first.cum + first.price`.
    pub credits_nc: u64,
}

const VERSION: u8 = 1;

impl Voucher {
    /// Encoded size in bytes.
    pub const LEN: usize = 106;
    const MAGIC: [u8; 2] = *b"AV";

    /// `acked_nc ≤ cum_nc`.
    pub fn check(&self) -> Result<(), MessageError> {
        require(self.acked_nc <= self.cum_nc, MessageError::Amounts)
    }

    /// The signed bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encode(|w| {
            w.put(&Self::MAGIC);
            w.put(&self.domain);
            w.put(&self.channel);
            w.put(&self.nonce.to_le_bytes());
            w.put(&self.acked_nc.to_le_bytes());
            w.put(&self.cum_nc.to_le_bytes());
            w.put(&self.expires.to_le_bytes());
            w.put(&self.ctx_hash);
        })
    }

    /// Decodes and checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(bytes, Self::LEN)?;
        require(r.take()? == Self::MAGIC, MessageError::Magic)?;
        let voucher = Self {
            domain: r.take()?,
            channel: r.take()?,
            nonce: r.u64()?,
            acked_nc: r.u64()?,
            cum_nc: r.u64()?,
            expires: i64::from_le_bytes(r.take()?),
            ctx_hash: r.take()?,
        };
        voucher.check()?;
        Ok(voucher)
    }

    /// SHA-256 of the bytes: the `request_hash` of receipts served for this voucher.
    pub fn hash(&self) -> Bytes32 {
        sha256(&self.to_bytes()).to_bytes()
    }
}

impl ChargeNote {
    /// Encoded size in bytes.
    pub const LEN: usize = 66;
    const MAGIC: [u8; 2] = *b"AN";

    /// `charge_nc ≤ cum_charged_nc`.
    pub fn check(&self) -> Result<(), MessageError> {
        require(self.charge_nc <= self.cum_charged_nc, MessageError::Amounts)
    }

    /// The signed bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encode(|w| {
            w.put(&Self::MAGIC);
            w.put(&self.domain);
            w.put(&self.channel);
            w.put(&self.nonce.to_le_bytes());
            w.put(&self.charge_nc.to_le_bytes());
            w.put(&self.cum_charged_nc.to_le_bytes());
        })
    }

    /// Decodes and checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(bytes, Self::LEN)?;
        require(r.take()? == Self::MAGIC, MessageError::Magic)?;
        let note = Self {
            domain: r.take()?,
            channel: r.take()?,
            nonce: r.u64()?,
            charge_nc: r.u64()?,
            cum_charged_nc: r.u64()?,
        };
        note.check()?;
        Ok(note)
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> Bytes32 {
        sha256(&self.to_bytes()).to_bytes()
    }
}

impl Order {
    /// Encoded size in bytes.
    pub const LEN: usize = 90;
    const MAGIC: [u8; 2] = *b"AD";

    /// The signed bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encode(|w| {
            w.put(&Self::MAGIC);
            w.put(&self.domain);
            w.put(&self.channel);
            w.put(&self.nonce.to_le_bytes());
            w.put(&self.max_price_nc.to_le_bytes());
            w.put(&self.ctx_hash);
        })
    }

    /// Decodes; every value of every field is legal.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(bytes, Self::LEN)?;
        require(r.take()? == Self::MAGIC, MessageError::Magic)?;
        Ok(Self { domain: r.take()?, channel: r.take()?, nonce: r.u64()?, max_price_nc: r.u64()?, ctx_hash: r.take()? })
    }

    /// SHA-256 of the bytes: the `request_hash` of receipts served for this order.
    pub fn hash(&self) -> Bytes32 {
        sha256(&self.to_bytes()).to_bytes()
    }
}

impl Receipt {
    /// Encoded size in bytes.
    pub const LEN: usize = 320;
    const MAGIC: [u8; 4] = *b"AIRC";

    /// Known flags only, `price_nc ≤ cum_nc`, `t_start_ms ≤ t_end_ms`.
    pub fn check(&self) -> Result<(), MessageError> {
        require(self.flags & !flags::ALL == 0, MessageError::Reserved)?;
        require(self.price_nc <= self.cum_nc, MessageError::Amounts)?;
        require(self.t_start_ms <= self.t_end_ms, MessageError::Times)
    }

    /// Whether this receipt continues its line from `previous` (`None`: it opens the line). The caller has matched
    /// gateway, epoch and line key.
    pub fn continues(&self, previous: Option<&Receipt>) -> bool {
        let (seq, before) = match previous {
            None => (Some(0), 0),
            Some(p) => (p.seq.checked_add(1), p.cum_nc),
        };
        seq == Some(self.seq) && before.checked_add(self.price_nc) == Some(self.cum_nc)
    }

    /// The signed bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encode(|w| {
            w.put(&Self::MAGIC);
            w.put(&[VERSION, self.flags]);
            w.put(&self.det_class.to_le_bytes());
            w.put(&self.domain);
            w.put(&self.epoch.to_le_bytes());
            w.put(&self.seq.to_le_bytes());
            w.put(&self.gateway);
            w.put(&self.worker);
            w.put(&self.line_key);
            w.put(&self.artifact);
            w.put(&self.request_hash);
            w.put(&self.input_hash);
            w.put(&self.output_hash);
            w.put(&self.evidence_hash);
            w.put(&self.units_in.to_le_bytes());
            w.put(&self.units_out.to_le_bytes());
            w.put(&self.price_nc.to_le_bytes());
            w.put(&self.cum_nc.to_le_bytes());
            w.put(&self.t_start_ms.to_le_bytes());
            w.put(&self.t_end_ms.to_le_bytes());
        })
    }

    /// Decodes and checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(bytes, Self::LEN)?;
        require(r.take()? == Self::MAGIC, MessageError::Magic)?;
        let [version, flags] = r.take()?;
        require(version == VERSION, MessageError::Version)?;
        let receipt = Self {
            flags,
            det_class: u16::from_le_bytes(r.take()?),
            domain: r.take()?,
            epoch: r.u32()?,
            seq: r.u32()?,
            gateway: r.take()?,
            worker: r.take()?,
            line_key: r.take()?,
            artifact: r.take()?,
            request_hash: r.take()?,
            input_hash: r.take()?,
            output_hash: r.take()?,
            evidence_hash: r.take()?,
            units_in: r.u32()?,
            units_out: r.u32()?,
            price_nc: r.u64()?,
            cum_nc: r.u64()?,
            t_start_ms: r.u64()?,
            t_end_ms: r.u64()?,
        };
        receipt.check()?;
        Ok(receipt)
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> Bytes32 {
        sha256(&self.to_bytes()).to_bytes()
    }
}

impl Verdict {
    /// Encoded size in bytes.
    pub const LEN: usize = 144;
    const MAGIC: [u8; 4] = *b"AIVD";

    /// The signed bytes: "AIVD" ‖ version 1 ‖ pass (0, 1) ‖ chair ‖ 0 ‖ domain ‖ audit ‖ receipt hash ‖ output hash ‖
    /// evidence hash.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encode(|w| {
            w.put(&Self::MAGIC);
            w.put(&[VERSION, u8::from(self.pass), self.chair, 0]);
            w.put(&self.domain);
            w.put(&self.audit);
            w.put(&self.receipt_hash);
            w.put(&self.output_hash);
            w.put(&self.evidence_hash);
        })
    }

    /// Decodes and checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(bytes, Self::LEN)?;
        require(r.take()? == Self::MAGIC, MessageError::Magic)?;
        let [version, pass, chair, pad] = r.take()?;
        require(version == VERSION, MessageError::Version)?;
        require(pass <= 1 && pad == 0, MessageError::Reserved)?;
        Ok(Self {
            pass: pass == 1,
            chair,
            domain: r.take()?,
            audit: r.take()?,
            receipt_hash: r.take()?,
            output_hash: r.take()?,
            evidence_hash: r.take()?,
        })
    }
}

impl Line {
    /// Encoded size in bytes.
    pub const LEN: usize = 128;
    const MAGIC: [u8; 4] = *b"AILN";

    /// At least one receipt.
    pub fn check(&self) -> Result<(), MessageError> {
        require(self.n_receipts > 0, MessageError::EmptyLine)
    }

    /// The leaf's data.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        encode(|w| {
            w.put(&Self::MAGIC);
            w.put(&[VERSION, self.stage, 0, 0]);
            w.put(&self.epoch.to_le_bytes());
            w.put(&self.index.to_le_bytes());
            w.put(&self.container);
            w.put(&self.worker);
            w.put(&self.referrer);
            w.put(&self.first_receipt.to_le_bytes());
            w.put(&self.n_receipts.to_le_bytes());
            w.put(&self.credits_nc.to_le_bytes());
        })
    }

    /// Decodes and checks.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut r = Reader::new(bytes, Self::LEN)?;
        require(r.take()? == Self::MAGIC, MessageError::Magic)?;
        let [version, stage, flags, pad] = r.take()?;
        require(version == VERSION, MessageError::Version)?;
        require(flags == 0 && pad == 0, MessageError::Reserved)?;
        let line = Self {
            stage,
            epoch: r.u32()?,
            index: r.u32()?,
            container: r.take()?,
            worker: r.take()?,
            referrer: r.take()?,
            first_receipt: r.u32()?,
            n_receipts: r.u32()?,
            credits_nc: r.u64()?,
        };
        line.check()?;
        Ok(line)
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> Bytes32 {
        sha256(&self.to_bytes()).to_bytes()
    }

    /// Credits of a line from its first to its last receipt: `last.cum - first.cum + first.price`.
    pub fn credits(first: &Receipt, last: &Receipt) -> Option<u64> {
        last.cum_nc.checked_sub(first.cum_nc)?.checked_add(first.price_nc)
    }

    /// Key of the receipts this line covers.
    pub fn key(&self) -> Bytes32 {
        line_key(&self.container, self.stage, &self.worker, &self.referrer)
    }
}

/// `sha("waybill/v1" ‖ cluster_name ‖ settlement_program)[0..8]`: keeps a message of one deployment out of every other.
pub fn domain(cluster_name: &str, settlement_program: &Bytes32) -> Domain {
    let digest = hashv(&[b"waybill/v1", cluster_name.as_bytes(), settlement_program]).to_bytes();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

/// What a voucher or order pays for: `sha("AI-CTX" ‖ container ‖ input_hash ‖ le64(max_price) ‖ referrer [‖ slot])`.
/// Class requests put the class id in `container`; `slot` is the promotion slot's PDA, present iff sponsored.
pub fn ctx_hash(
    container: &Bytes32,
    input_hash: &Bytes32,
    max_price_nc: u64,
    referrer: &Bytes32,
    slot: Option<&Bytes32>,
) -> Bytes32 {
    let slot: &[u8] = slot.map_or(&[], |s| s);
    hashv(&[b"AI-CTX", container, input_hash, &max_price_nc.to_le_bytes(), referrer, slot]).to_bytes()
}

/// `sha("AI-LK" ‖ container ‖ stage ‖ worker ‖ referrer)`: the receipts that settle in one line.
pub fn line_key(container: &Bytes32, stage: u8, worker: &Bytes32, referrer: &Bytes32) -> Bytes32 {
    hashv(&[b"AI-LK", container, &[stage], worker, referrer]).to_bytes()
}

/// `sha("AI-SEED" ‖ request_hash)`: seed of the sampler, so that an auditor draws the same tokens.
pub fn inference_seed(request_hash: &Bytes32) -> Bytes32 {
    hashv(&[b"AI-SEED", request_hash]).to_bytes()
}

fn require(condition: bool, error: MessageError) -> Result<(), MessageError> {
    if condition { Ok(()) } else { Err(error) }
}

fn encode<const N: usize>(write: impl FnOnce(&mut Writer<'_>)) -> [u8; N] {
    let mut bytes = [0; N];
    let mut writer = Writer(&mut bytes);
    write(&mut writer);
    debug_assert!(writer.0.is_empty(), "a message fills its length");
    bytes
}

/// The part of the record not yet written.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, field: &[u8]) {
        if let Some((head, tail)) = core::mem::take(&mut self.0).split_at_mut_checked(field.len()) {
            head.copy_from_slice(field);
            self.0 = tail;
        }
    }
}

/// The part of the record not yet read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], len: usize) -> Result<Self, MessageError> {
        require(bytes.len() == len, MessageError::Length)?;
        Ok(Self(bytes))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let (head, tail) = self.0.split_first_chunk().ok_or(MessageError::Length)?;
        self.0 = tail;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, MessageError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, MessageError> {
        self.take().map(u64::from_le_bytes)
    }
}
