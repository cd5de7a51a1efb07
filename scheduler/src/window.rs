//! A sliding ten seconds of two counters in ten exact buckets. Bursts hide in averages that decay; they do not hide here.

use crate::time::Tick;

const BUCKETS: usize = 10;
const BUCKET_US: u64 = 1_000_000;

#[derive(Debug, Default)]
pub struct Window {
    buckets: [(u32, u32); BUCKETS],
    /// Index of the newest bucket since the start of time.
    newest: u64,
}

impl Window {
    /// Adds to the two counters at `now`.
    pub fn add(&mut self, now: Tick, first: u32, second: u32) {
        self.advance(now);
        let bucket = &mut self.buckets[(self.newest % BUCKETS as u64) as usize];
        bucket.0 = bucket.0.saturating_add(first);
        bucket.1 = bucket.1.saturating_add(second);
    }

    /// Both sums over the last ten seconds.
    pub fn sums(&mut self, now: Tick) -> (u64, u64) {
        self.advance(now);
        self.buckets.iter().fold((0, 0), |(a, b), bucket| (a + u64::from(bucket.0), b + u64::from(bucket.1)))
    }

    pub fn clear(&mut self) {
        self.buckets = Default::default();
    }

    fn advance(&mut self, now: Tick) {
        let current = now.0 / BUCKET_US;
        let passed = current.saturating_sub(self.newest);
        for step in 1..=passed.min(BUCKETS as u64) {
            self.buckets[((self.newest + step) % BUCKETS as u64) as usize] = (0, 0);
        }
        self.newest = self.newest.max(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_ten_seconds_is_gone() {
        let mut window = Window::default();
        window.add(Tick::from_millis(500), 3, 1);
        window.add(Tick::from_millis(9_900), 2, 0);
        assert_eq!(window.sums(Tick::from_millis(9_999)), (5, 1));
        assert_eq!(window.sums(Tick::from_millis(10_000)), (2, 0));
        assert_eq!(window.sums(Tick::from_millis(900_000)), (0, 0));
    }
}
