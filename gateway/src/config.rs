//! Limits and times of a gateway. Keys and handles are passed beside it; nothing here is read from the environment.

use crate::keys::Pepper;
use solana_keypair::Keypair;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The gateway's hot key: the owner of its party on chain.
    pub key: Arc<Keypair>,
    pub pepper: Pepper,
    /// Names this process among those that share the key, for leases.
    pub instance: String,
    /// No other process uses this key: what a crashed one held is taken over at the start, and charge notes need not wait
    /// for its leases to end. Never for replicas.
    pub sole: bool,
    pub limits: Limits,
    pub times: Times,
}

#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body in bytes.
    pub body_bytes: usize,
    pub connections: usize,
    /// Requests of one API key at a time.
    pub requests_per_key: usize,
    /// API keys held in memory, known and unknown ones together.
    pub cached_keys: usize,
}

#[derive(Debug, Clone)]
pub struct Times {
    /// For the head of a request.
    pub read_head: Duration,
    /// For a request's body.
    pub read_body: Duration,
    /// Until the first event of a chat, and of embeddings.
    pub chat_first_event: Duration,
    pub embeddings_first_event: Duration,
    /// Longest silence of a worker between two events.
    pub idle: Duration,
    /// Silence towards a streaming consumer before a comment is sent.
    pub ping: Duration,
    /// A consumer that reads nothing for so long is cut.
    pub stalled_consumer: Duration,
    /// How long the verdict about an API key is kept.
    pub key_cache: Duration,
    /// `/readyz` fails for so long before connections are refused.
    pub drain_notice: Duration,
    /// For streams to finish after that.
    pub drain: Duration,
    /// Credit and nonces of a channel that was not used for so long go back.
    pub idle_channel: Duration,
}

impl GatewayConfig {
    pub fn new(listen: SocketAddr, key: Arc<Keypair>, pepper: Pepper, instance: impl Into<String>) -> Self {
        Self {
            listen,
            key,
            pepper,
            instance: instance.into(),
            sole: false,
            limits: Limits::default(),
            times: Times::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 20 << 20, connections: 8192, requests_per_key: 64, cached_keys: 16_384 }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            read_head: Duration::from_secs(10),
            read_body: Duration::from_secs(60),
            chat_first_event: Duration::from_secs(60),
            embeddings_first_event: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            ping: Duration::from_secs(15),
            stalled_consumer: Duration::from_secs(60),
            key_cache: Duration::from_secs(30),
            drain_notice: Duration::from_secs(5),
            drain: Duration::from_secs(180),
            idle_channel: Duration::from_secs(30),
        }
    }
}
