//! The messages on a worker session and between gateway and scheduler: Protocol Buffers, one length-delimited message
//! after another on a stream. Fields are only added, never renumbered.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use sha2::{Digest, Sha256};
use std::marker::PhantomData;

/// No frame is larger: 256 embeddings of 4,096 dimensions fit.
pub const MAX_FRAME_BYTES: usize = 8 << 20;

/// One paid piece of work: a stage call of a container, with the order that backs it.
#[derive(Clone, PartialEq, Message)]
pub struct Job {
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// Order of 90 bytes, signed by the gateway.
    #[prost(bytes = "bytes", tag = "2")]
    pub order: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub order_signature: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub gateway: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub container: Bytes,
    #[prost(uint32, tag = "6")]
    pub stage: u32,
    #[prost(bytes = "bytes", tag = "7")]
    pub artifact: Bytes,
    /// Curator's wallet, 32 zero bytes when nobody referred the request.
    #[prost(bytes = "bytes", tag = "8")]
    pub referrer: Bytes,
    /// Frozen price of the stage in nano-credits per 1,000 billable units, and the pricing epoch it belongs to.
    #[prost(uint64, tag = "9")]
    pub price_per_1k: u64,
    #[prost(uint32, tag = "10")]
    pub pricing_epoch: u32,
    /// Price of the following pricing epoch where it is already frozen: a job that ends there pays the lower one.
    #[prost(uint64, optional, tag = "11")]
    pub next_price_per_1k: Option<u64>,
    /// Milliseconds the consumer still waits for the first event.
    #[prost(uint32, tag = "12")]
    pub deadline_ms: u32,
    /// Receipt flags (bit 0 sponsored, bit 2 streamed, bit 3 delegated).
    #[prost(uint32, tag = "13")]
    pub flags: u32,
    #[prost(message, optional, tag = "14")]
    pub input: Option<Input>,
    /// Nobody keeps input or output: no evidence, no audit.
    #[prost(bool, tag = "15")]
    pub private: bool,
    /// Of a class request: the class's id, which the order names in place of the container. Empty otherwise.
    #[prost(bytes = "bytes", tag = "16")]
    pub class: Bytes,
    /// Auction of the promotion slot that brought the request; empty unless sponsored.
    #[prost(bytes = "bytes", tag = "20")]
    pub slot: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct Input {
    #[prost(oneof = "InputKind", tags = "1, 2")]
    pub kind: Option<InputKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum InputKind {
    #[prost(message, tag = "1")]
    Chat(Chat),
    #[prost(message, tag = "2")]
    Embed(Embed),
}

#[derive(Clone, PartialEq, Message)]
pub struct Chat {
    #[prost(message, repeated, tag = "1")]
    pub turns: Vec<Turn>,
    /// Most tokens to generate, at least 1.
    #[prost(uint32, tag = "2")]
    pub max_tokens: u32,
    /// 0 is greedy; absent means 1.
    #[prost(float, optional, tag = "3")]
    pub temperature: Option<f32>,
    #[prost(float, optional, tag = "4")]
    pub top_p: Option<f32>,
    /// Absent: the seed follows from the order (`mechanism::message::inference_seed`).
    #[prost(uint64, optional, tag = "5")]
    pub seed: Option<u64>,
    #[prost(string, repeated, tag = "6")]
    pub stop: Vec<String>,
    #[prost(float, tag = "7")]
    pub frequency_penalty: f32,
    #[prost(float, tag = "8")]
    pub presence_penalty: f32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Turn {
    /// `system`, `user` or `assistant`.
    #[prost(string, tag = "1")]
    pub role: String,
    #[prost(string, tag = "2")]
    pub content: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Embed {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<EmbedItem>,
}

#[derive(Clone, PartialEq, Message)]
pub struct EmbedItem {
    /// Text, or empty when `tokens` is given.
    #[prost(string, tag = "1")]
    pub text: String,
    #[prost(uint32, repeated, tag = "2")]
    pub tokens: Vec<u32>,
}

impl Input {
    /// SHA-256 of the Protocol Buffers encoding: what the order and the receipt call `input_hash`.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.encode_to_vec()).into()
    }
}

/// What a worker sends while it works. `Closed` or `Fault` is the last one.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(oneof = "EventKind", tags = "1, 2, 3, 4")]
    pub kind: Option<EventKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum EventKind {
    #[prost(message, tag = "1")]
    Text(TextDelta),
    #[prost(message, tag = "2")]
    Vectors(Vectors),
    #[prost(message, tag = "3")]
    Closed(Closed),
    #[prost(message, tag = "4")]
    Fault(Fault),
}

impl From<EventKind> for Event {
    fn from(kind: EventKind) -> Self {
        Self { kind: Some(kind) }
    }
}

/// Newly generated text; never splits a UTF-8 sequence.
#[derive(Clone, PartialEq, Message)]
pub struct TextDelta {
    #[prost(string, tag = "1")]
    pub text: String,
    /// Tokens since the last event.
    #[prost(uint32, tag = "2")]
    pub tokens: u32,
}

/// Embeddings, row-major f32 little-endian, in input order.
#[derive(Clone, PartialEq, Message)]
pub struct Vectors {
    #[prost(uint32, tag = "1")]
    pub dims: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub values: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Finish {
    Stop = 0,
    Length = 1,
}

/// The end of the work: what it consumed and the receipt for it.
#[derive(Clone, PartialEq, Message)]
pub struct Closed {
    #[prost(enumeration = "Finish", tag = "1")]
    pub finish: i32,
    /// Receipt of 320 bytes: its `units_in`, `units_out` and `price_nc` are the usage.
    #[prost(bytes = "bytes", tag = "2")]
    pub receipt: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub worker_signature: Bytes,
    /// What really ran it, such as `cpu`.
    #[prost(string, tag = "4")]
    pub device: String,
    #[prost(uint32, tag = "5")]
    pub queue_ms: u32,
    #[prost(uint32, tag = "6")]
    pub first_token_ms: u32,
    /// The generated tokens of a chat, the end-of-text token included; none for embeddings and private jobs.
    #[prost(uint32, repeated, tag = "7")]
    pub tokens: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum FaultCode {
    Internal = 0,
    /// The input can never work: too long, empty, unsupported.
    BadInput = 1,
    /// No such artifact is loaded here.
    UnknownModel = 2,
    /// The worker is full; try another.
    Busy = 3,
    /// The deadline passed before the first event.
    PastDeadline = 4,
    /// The order is not backed by a funded channel, or its signature is wrong.
    Unfunded = 5,
    /// The prompt does not fit the model's context.
    ContextExceeded = 6,
    /// The peer broke the protocol.
    Protocol = 7,
    /// The link to the worker was lost.
    Lost = 8,
}

impl FaultCode {
    /// The name as it appears in logs and error bodies.
    pub fn as_str_name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::BadInput => "bad_input",
            Self::UnknownModel => "unknown_model",
            Self::Busy => "busy",
            Self::PastDeadline => "past_deadline",
            Self::Unfunded => "unfunded",
            Self::ContextExceeded => "context_exceeded",
            Self::Protocol => "protocol",
            Self::Lost => "lost",
        }
    }
}

/// Why the work did not finish. No receipt, no charge.
#[derive(Clone, PartialEq, Message, thiserror::Error)]
#[error("{}: {detail}", self.code().as_str_name())]
pub struct Fault {
    #[prost(enumeration = "FaultCode", tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub detail: String,
    #[prost(uint32, optional, tag = "3")]
    pub retry_after_ms: Option<u32>,
}

impl Fault {
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into(), retry_after_ms: None }
    }

    /// Whether another worker may succeed where this one failed.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.code(),
            FaultCode::Internal | FaultCode::UnknownModel | FaultCode::Busy | FaultCode::Protocol | FaultCode::Lost
        )
    }
}

/// Scheduler → worker, first message of a session: prove that you hold your key.
#[derive(Clone, PartialEq, Message)]
pub struct Challenge {
    #[prost(bytes = "bytes", tag = "1")]
    pub nonce: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub domain: Bytes,
    /// Gateways whose orders this scheduler will bring.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub gateways: Vec<Bytes>,
}

/// Worker → scheduler: who I am and what I can run. Signed with `signing::hello_message`.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    #[prost(bytes = "bytes", tag = "1")]
    pub worker: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: Bytes,
    #[prost(string, tag = "3")]
    pub version: String,
    #[prost(string, tag = "4")]
    pub region: String,
    /// 0 home, 1 edge, 2 datacenter.
    #[prost(uint32, tag = "5")]
    pub class: u32,
    #[prost(uint32, tag = "6")]
    pub slots: u32,
    #[prost(message, repeated, tag = "7")]
    pub models: Vec<ModelOffer>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ModelOffer {
    #[prost(bytes = "bytes", tag = "1")]
    pub artifact: Bytes,
    /// As in the container's stage: 0 chat, 1 embed.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    #[prost(uint32, tag = "3")]
    pub det_class: u32,
    #[prost(uint32, tag = "4")]
    pub context: u32,
    /// Measured at warm-up, tokens per second.
    #[prost(float, tag = "5")]
    pub prefill_tps: f32,
    #[prost(float, tag = "6")]
    pub decode_tps: f32,
}

/// Scheduler → worker: where your lines stand. At the start of a session a receipt that is not covered here is void.
#[derive(Clone, PartialEq, Message)]
pub struct Welcome {
    #[prost(message, repeated, tag = "1")]
    pub lines: Vec<LineState>,
    /// Sent within a session: receipts that left a moment ago may still be stored.
    #[prost(bool, tag = "2")]
    pub resync: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct LineState {
    #[prost(bytes = "bytes", tag = "1")]
    pub gateway: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub line_key: Bytes,
    #[prost(uint32, tag = "3")]
    pub epoch: u32,
    /// Of the last countersigned receipt.
    #[prost(uint32, tag = "4")]
    pub seq: u32,
    #[prost(uint64, tag = "5")]
    pub cum_nc: u64,
}

/// Gateway → worker: your receipt is countersigned and stored.
#[derive(Clone, PartialEq, Message)]
pub struct Ack {
    #[prost(bytes = "bytes", tag = "1")]
    pub worker: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub receipt_hash: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub gateway_signature: Bytes,
}

/// Worker → scheduler, every second and on a change of load.
#[derive(Clone, PartialEq, Message)]
pub struct Report {
    /// +1 per report.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// Jobs received so far: the scheduler drops its own count of those in flight up to here.
    #[prost(uint64, tag = "2")]
    pub received_jobs: u64,
    #[prost(uint32, tag = "3")]
    pub queued_tokens: u32,
    #[prost(uint32, tag = "4")]
    pub active: u32,
    #[prost(uint32, tag = "5")]
    pub free_slots: u32,
    #[prost(float, tag = "6")]
    pub prefill_tps: f32,
    #[prost(float, tag = "7")]
    pub decode_tps: f32,
    #[prost(bool, tag = "8")]
    pub draining: bool,
}

/// Encodes one message with its length in front.
pub fn encode<M: Message>(message: &M) -> Bytes {
    Bytes::from(message.encode_length_delimited_to_vec())
}

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLarge(usize),
    #[error("not a frame of this protocol: {0}")]
    Malformed(#[from] prost::DecodeError),
    #[error("the stream ended inside a frame")]
    Truncated,
}

/// Cuts a byte stream into messages; pieces may arrive in any size.
#[derive(Debug)]
pub struct FrameReader<M> {
    buffer: BytesMut,
    message: PhantomData<fn() -> M>,
}

impl<M> Default for FrameReader<M> {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), message: PhantomData }
    }
}

impl<M: Message + Default> FrameReader<M> {
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next complete message, or `None` when more bytes are needed.
    pub fn next_message(&mut self) -> Result<Option<M>, FrameError> {
        let mut peek = &self.buffer[..];
        let length = match prost::decode_length_delimiter(&mut peek) {
            Ok(length) => length,
            // A varint is at most ten bytes: fewer may only be incomplete.
            Err(_) if self.buffer.len() < 10 => return Ok(None),
            Err(malformed) => return Err(malformed.into()),
        };
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge(length));
        }
        if peek.len() < length {
            return Ok(None);
        }
        let prefix = self.buffer.len() - peek.len();
        self.buffer.advance(prefix);
        Ok(Some(M::decode(self.buffer.split_to(length).freeze())?))
    }

    /// Called when the stream ends: an unfinished frame is an error.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn text(content: &str) -> Event {
        EventKind::Text(TextDelta { text: content.into(), tokens: 1 }).into()
    }

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let stream: Vec<u8> = ["a", "", "a longer text"].iter().flat_map(|t| encode(&text(t))).collect();
        for size in 1..stream.len() {
            let mut reader = FrameReader::<Event>::default();
            let mut seen = Vec::new();
            for piece in stream.chunks(size) {
                reader.push(piece);
                while let Some(event) = reader.next_message().unwrap() {
                    seen.push(event);
                }
            }
            reader.finish().unwrap();
            assert_eq!(seen, [text("a"), text(""), text("a longer text")]);
        }
    }

    #[test]
    fn an_oversized_frame_is_refused_before_it_is_buffered() {
        let mut reader = FrameReader::<Event>::default();
        reader.push(&[0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert!(matches!(reader.next_message(), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let mut reader = FrameReader::<Event>::default();
        reader.push(&encode(&text("cut"))[..3]);
        assert!(reader.next_message().unwrap().is_none());
        assert!(matches!(reader.finish(), Err(FrameError::Truncated)));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = FrameReader::<Event>::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.next_message() {}
        }
    }
}
