//! A place for one job. Whoever works on the job holds it; giving it back is a change of load worth a report.

use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit};

#[derive(Debug)]
pub struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    load_changed: Arc<Notify>,
}

impl Slot {
    pub(crate) fn new(permit: OwnedSemaphorePermit, load_changed: Arc<Notify>) -> Self {
        load_changed.notify_one();
        Self { permit: Some(permit), load_changed }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.load_changed.notify_one();
    }
}
