//! The scheduler's clock: selection works on ticks that are passed in, so tests run it in virtual time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the scheduler started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_micros() as u64))
    }

    /// Zero when `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Tick;

    /// Unix seconds, for the expiry of keys.
    fn unix(&self) -> i64;
}

/// The machine's monotonic and wall clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Tick {
        Tick(self.0.elapsed().as_micros() as u64)
    }

    fn unix(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
    }
}
