//! What all requests of one gateway share.

use crate::attribution::Attribution;
use crate::auth::KeyCache;
use crate::config::GatewayConfig;
use crate::credit::Credit;
use crate::keeper::Keeper;
use crate::market::Market;
use crate::notary::Notary;
use crate::resync::Resyncs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use waybill_protocol::{Dispatch, WalletId};
use waybill_store::{Ledger, Store};

/// Longest wait for a dependency's sign of life.
const PROBE: Duration = Duration::from_secs(2);

pub(crate) struct App {
    pub config: GatewayConfig,
    /// Address of the gateway's key.
    pub wallet: WalletId,
    pub store: Store,
    pub ledger: Ledger,
    pub market: Arc<dyn Market>,
    pub dispatch: Arc<dyn Dispatch>,
    pub credit: Arc<Credit>,
    pub keys: KeyCache,
    pub attribution: Attribution,
    pub notary: Notary,
    pub keeper: Keeper,
    pub resyncs: Arc<Resyncs>,
    /// Work that outlives its request: streams, commits, voids.
    pub tasks: TaskTracker,
    pub phase: PhaseCell,
}

/// From serving to gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Not ready, so that load balancers turn away, but still serving.
    Leaving,
    /// Open requests finish, new ones are refused.
    Draining,
}

#[derive(Debug, Default)]
pub(crate) struct PhaseCell(AtomicU8);

impl PhaseCell {
    pub fn get(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::Leaving,
            _ => Phase::Draining,
        }
    }

    pub fn set(&self, phase: Phase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }
}

impl App {
    /// Why no new request can be served; empty when one can.
    pub async fn obstacles(&self) -> Vec<&'static str> {
        let (database, workers) =
            tokio::join!(timeout(PROBE, self.store.healthy()), timeout(PROBE, self.dispatch.workers()));
        let worker_ready = matches!(workers, Ok(Ok(workers)) if workers.iter().any(|worker| !worker.draining));
        let checks = [
            (database == Ok(true), "the database does not answer"),
            (self.market.healthy(), "the chain does not answer"),
            (worker_ready, "no worker is connected"),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, obstacle)| obstacle).collect()
    }
}
