//! What replicas share while they run and nobody needs after a crash: leased slices of a limit (spendable credit, rate
//! windows). Callers lease slices and count in process, so the hub is never on the path of a single request.

mod local;
mod redis;

pub use local::LocalHub;
pub use redis::RedisHub;

use std::time::Duration;

/// Leases of a holder that sent no heartbeat for this long are free again.
pub const HOLDER_TTL: Duration = Duration::from_secs(120);

/// Largest limit: Redis scripts count in doubles, which are exact up to here. In nano-credits about nine million dollars
/// outstanding on one key.
pub const MAX_LIMIT: u64 = (1 << 53) - 1;

/// The hub could not answer: act as if nothing was granted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HubError {
    #[error("the shared hub failed: {0}")]
    Unavailable(String),
}

/// Shared counters with leases, seen by one holder (a process).
#[async_trait::async_trait]
pub trait Hub: Send + Sync {
    /// Grants up to `want` of what is left of `limit` under `key`, possibly 0. Outstanding leases of all live holders
    /// never exceed the limit that the call names. A call is a heartbeat.
    async fn lease(&self, key: &str, want: u64, limit: u64) -> Result<u64, HubError>;

    /// Returns a part of what this holder leased; more than it holds returns all.
    async fn give_back(&self, key: &str, amount: u64) -> Result<(), HubError>;

    /// Σ leases of live holders.
    async fn outstanding(&self, key: &str) -> Result<u64, HubError>;

    /// Keeps this holder's leases; call at least every quarter of [`HOLDER_TTL`].
    async fn heartbeat(&self) -> Result<(), HubError>;

    /// True when the hub answers.
    async fn healthy(&self) -> bool;
}
