//! Asks for workers to be told where their lines stand, when a receipt that they count on did not reach the ledger.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use waybill_protocol::{Dispatch, WorkerId};

/// Pause between two resyncs of one worker.
const SPACING: Duration = Duration::from_millis(250);

/// At most one resync per worker and [`SPACING`]; what is asked for meanwhile is one more after it, never lost.
pub struct Resyncs {
    dispatch: Arc<dyn Dispatch>,
    tasks: TaskTracker,
    /// Workers with a resync under way, and whether another one was asked for since it began.
    under_way: Mutex<HashMap<WorkerId, bool>>,
}

impl Resyncs {
    pub fn new(dispatch: Arc<dyn Dispatch>, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self { dispatch, tasks, under_way: Mutex::default() })
    }

    /// Returns at once.
    pub fn ask(self: &Arc<Self>, worker: WorkerId) {
        match self.under_way().entry(worker) {
            Entry::Occupied(mut again) => {
                again.insert(true);
                return;
            }
            Entry::Vacant(place) => {
                place.insert(false);
            }
        }
        metrics::counter!("waybill_resyncs_asked_total").increment(1);
        let this = self.clone();
        self.tasks.spawn(async move {
            loop {
                this.dispatch.resync(worker).await;
                tokio::time::sleep(SPACING).await;
                if !this.take_again(worker) {
                    return;
                }
            }
        });
    }

    /// Whether to go on; if not, the worker has no resync under way any more.
    fn take_again(&self, worker: WorkerId) -> bool {
        let mut under_way = self.under_way();
        let again = under_way.insert(worker, false) == Some(true);
        if !again {
            under_way.remove(&worker);
        }
        again
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<WorkerId, bool>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
