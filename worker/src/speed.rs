//! A rate that one thread measures and others read.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

/// Exponentially weighted amount per second.
#[derive(Default)]
pub(crate) struct Speed(AtomicU32);

impl Speed {
    /// Called by the one measuring thread.
    pub fn record(&self, amount: usize, took: Duration) {
        let now = amount as f32 / took.as_secs_f32().max(1e-6);
        let before = self.per_second();
        let next = if before == 0.0 { now } else { before + 0.1 * (now - before) };
        self.0.store(next.to_bits(), Relaxed);
    }

    pub fn per_second(&self) -> f32 {
        f32::from_bits(self.0.load(Relaxed))
    }
}
