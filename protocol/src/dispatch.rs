//! The one call from gateway to scheduler, the same in one process and across two.

use crate::{
    frame::{Ack, Event, Fault, Job},
    id::{ArtifactId, WorkerId},
};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

/// What the worker sends; `Err` when the link broke or the worker refused. Ends after `Closed`.
/// Dropping it cancels the work.
pub type EventStream = BoxStream<'static, Result<Event, Fault>>;

/// What the consumer wishes of the route. Wishes narrow the choice and never relax silently.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteWish {
    /// Only these regions; empty means any.
    pub regions: Vec<String>,
    /// Only these workers; empty means any.
    pub only: Vec<WorkerId>,
    /// Never these workers.
    pub ignore: Vec<WorkerId>,
    /// Highest acceptable round trip between scheduler and worker.
    pub max_rtt_ms: Option<u32>,
    /// What the choice leans to.
    pub sort: Sort,
    /// Nobody keeps input or output, also not sealed for audits: what comes back cannot be checked by re-execution.
    pub private: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    #[default]
    Balanced,
    Price,
    Latency,
}

/// A job that a worker has begun: its first event arrived, or the work ended without one.
pub struct Dispatched {
    pub worker: WorkerId,
    pub region: String,
    /// Workers tried, this one included.
    pub attempts: u32,
    pub events: EventStream,
}

/// Why no worker began the job. Nothing was charged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DispatchError {
    /// Constraints exclude every worker; the text counts the drops per filter.
    #[error("no eligible worker: {0}")]
    NoWorker(String),
    /// Workers exist but all are full.
    #[error("all workers are busy, retry in {retry_after_ms} ms")]
    Busy { retry_after_ms: u32 },
    /// The worker's answer, where another worker would answer the same.
    #[error("{0}")]
    Refused(Fault),
    /// Every attempt failed before its first event.
    #[error("{attempts} attempts failed, the last with {last}")]
    Exhausted { attempts: u32, last: Fault },
    /// No event before the deadline.
    #[error("no worker answered within the deadline")]
    Timeout,
    /// The scheduler cannot be reached or is stopping.
    #[error("the scheduler is unavailable: {0}")]
    Unavailable(String),
}

/// A connected worker, for operators and the `models` listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkerView {
    pub worker: WorkerId,
    pub region: String,
    pub class: u16,
    pub artifacts: Vec<ArtifactId>,
    pub rtt_ms: f64,
    pub active: u32,
    pub free_slots: u32,
    pub draining: bool,
}

#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Finds a worker and waits for its first event; until then other workers may be tried.
    async fn dispatch(&self, job: Job, wish: RouteWish) -> Result<Dispatched, DispatchError>;

    /// Brings a countersignature to its worker. Fire and forget: a worker that misses it learns on its next session.
    async fn acknowledge(&self, ack: Ack);

    /// Tells a connected worker again where its lines stand, because a receipt that it counts on is not in the ledger.
    /// Returns once the worker heard it, or could not be told: then its next session tells it.
    async fn resync(&self, worker: WorkerId);

    async fn workers(&self) -> Result<Vec<WorkerView>, DispatchError>;
}
