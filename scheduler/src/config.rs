//! The scheduler's settings. Defaults are right for a fleet of thousands; tests shorten the times.

use std::{net::SocketAddr, time::Duration};
use waybill_protocol::WalletId;

#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Where workers dial in. Public; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where gateways of other processes, and operators, call. Private: what is behind it trusts its network.
    pub gateway_listen: Option<SocketAddr>,
    /// The network's domain: first bytes of what workers sign.
    pub domain: [u8; 8],
    /// Gateways whose orders are brought to workers.
    pub gateways: Vec<WalletId>,
    pub limits: Limits,
    pub timing: Timing,
}

impl SchedulerConfig {
    pub fn new(listen: SocketAddr, domain: [u8; 8], gateways: Vec<WalletId>) -> Self {
        Self { listen, gateway_listen: None, domain, gateways, limits: Limits::default(), timing: Timing::default() }
    }
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub sessions: usize,
    /// Connections that have not proved their key yet.
    pub handshakes: usize,
    pub models_per_worker: usize,
    /// Jobs at once on one session; what a worker offers beyond is ignored. Its receive windows are sized for this.
    pub jobs_per_worker: u32,
    /// Requests that wait for a slot at once; further ones are told to retry.
    pub waiting: usize,
    /// Countersignatures on their way to one worker.
    pub acks_per_worker: usize,
    /// Connections per listener before their upgrade.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            handshakes: 256,
            models_per_worker: 64,
            jobs_per_worker: 256,
            waiting: 1_024,
            acks_per_worker: 1_024,
            connections: 4_096,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Timing {
    /// From the connection's upgrade to the worker's admission.
    pub admission: Duration,
    pub ping: Duration,
    /// A ping unanswered for this long ends the session.
    pub ping_timeout: Duration,
    /// How often a worker's key is looked up again.
    pub recheck: Duration,
    /// Least time between two rebuilds of the selection's snapshots.
    pub rebuild: Duration,
    /// For jobs that state no deadline.
    pub first_event: Duration,
    /// Longest wait for a slot while all workers are full; never more than half of the job's deadline.
    pub slot_wait: Duration,
    /// A worker silent for this long in the middle of an answer has stalled.
    pub stall: Duration,
    /// For jobs to finish when the scheduler stops.
    pub drain: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            admission: Duration::from_secs(10),
            ping: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(15),
            recheck: Duration::from_secs(30),
            rebuild: Duration::from_millis(100),
            first_event: Duration::from_secs(60),
            slot_wait: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(180),
        }
    }
}
