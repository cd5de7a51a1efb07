//! Worker sessions, the choice of a worker, dispatch with failover, and the same over HTTP for gateways elsewhere.
//!
//! Workers dial out: a connection to `GET /v1/worker/session` is upgraded and turned around, so that the scheduler is
//! the HTTP/2 client and every job one stream with its own flow control (`link`). An admitted worker (`session`) joins
//! the fleet (`fleet`), from which `select` chooses in constant time; `dispatch` tries up to three workers until one
//! sends its first event. A gateway in this process calls `Scheduler` through `waybill_protocol::Dispatch`, one in
//! another process through `remote::RemoteScheduler`.

pub mod audit;
mod budget;
pub mod config;
mod dispatch;
mod fleet;
mod job_stream;
mod link;
mod messages;
pub mod onchain;
pub mod registry;
pub mod remote;
mod scheduler;
pub mod select;
mod serve;
mod service;
mod session;
pub mod settle;
pub mod time;
mod window;
mod wire;

pub use config::{Limits, SchedulerConfig, Timing};
pub use registry::{LineStates, NodeView, Registry};
pub use remote::RemoteScheduler;
pub use scheduler::{Running, Scheduler, SchedulerDeps, SchedulerError, run, start};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose contents are valid at every step, so a panic elsewhere does not make it unusable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
