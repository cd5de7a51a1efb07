//! What the scheduler needs to know from outside: who a worker is on chain, and where its receipt lines stand.

use async_trait::async_trait;
use waybill_protocol::{WalletId, WorkerId, frame::LineState};

/// A worker's key as registered on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub operator: WalletId,
    pub region: String,
    /// 0 home, 1 edge, 2 datacenter.
    pub class: u16,
    /// Unix seconds.
    pub expires: i64,
    pub revoked: bool,
    /// Whether the operator's stake reaches the minimum of its role.
    pub staked: bool,
    /// Nano-credits per 1,000 billable units that this worker asks. `None` where all workers are paid one price.
    pub ask: Option<u64>,
}

/// Registered workers, answered from memory.
pub trait Registry: Send + Sync + 'static {
    fn node(&self, worker: WorkerId) -> Option<NodeView>;
}

/// The last countersigned receipt of every line of a worker.
#[async_trait]
pub trait LineStates: Send + Sync + 'static {
    /// The error text goes to the log; the worker is turned away and comes back.
    async fn lines(&self, worker: WorkerId) -> Result<Vec<LineState>, String>;
}
