//! How much slower a worker is than predicted: a peak-sensitive moving average of observed over predicted time to the
//! first event. A ratio, because an average of times would take long requests for slow machines.

use crate::time::Tick;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Seconds after which a sample has lost 63 % of its weight.
pub const DECAY_S: f64 = 10.0;
const FLOOR: f64 = 0.05;
const CEILING: f64 = 10_000.0;
const TICKS_PER_UNIT: u64 = 1_000_000 / 64;

/// One atomic word: the ratio as f32 above, its time in 1/64 s below (wraps after two years).
#[derive(Debug)]
pub struct SlowRatio(AtomicU64);

impl Default for SlowRatio {
    fn default() -> Self {
        Self(AtomicU64::new(pack(1.0, 0)))
    }
}

impl SlowRatio {
    /// The ratio now. Without new samples it relaxes to 1, so a worker that lost its traffic is tried again.
    pub fn get(&self, now: Tick) -> f64 {
        let (value, at) = unpack(self.0.load(Relaxed));
        1.0 + (value - 1.0) * remaining(at, now)
    }

    /// A higher sample counts at once, a lower one with the time that has passed.
    pub fn observe(&self, sample: f64, now: Tick) {
        if !sample.is_finite() {
            return;
        }
        let sample = sample.clamp(FLOOR, CEILING);
        let update = |word| {
            let (value, at) = unpack(word);
            let keep = remaining(at, now);
            let relaxed = 1.0 + (value - 1.0) * keep;
            let next = if sample >= relaxed { sample } else { value * keep + sample * (1.0 - keep) };
            Some(pack(next, units(now)))
        };
        // The closure never declines, so there is no error to see.
        let _ = self.0.fetch_update(Relaxed, Relaxed, update);
    }
}

fn units(now: Tick) -> u32 {
    (now.0 / TICKS_PER_UNIT) as u32
}

/// The weight that a value taken at `at` still has.
fn remaining(at: u32, now: Tick) -> f64 {
    let elapsed = units(now).wrapping_sub(at);
    // A reader with an older clock than the last writer sees "the future" as no time at all.
    if elapsed > u32::MAX / 2 { 1.0 } else { (-f64::from(elapsed) / 64.0 / DECAY_S).exp() }
}

fn pack(value: f64, at: u32) -> u64 {
    u64::from((value as f32).to_bits()) << 32 | u64::from(at)
}

fn unpack(word: u64) -> (f64, u32) {
    (f64::from(f32::from_bits((word >> 32) as u32)), word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_counts_at_once_and_fades_over_ten_seconds() {
        let ratio = SlowRatio::default();
        ratio.observe(11.0, Tick::from_millis(1_000));
        assert!((ratio.get(Tick::from_millis(1_000)) - 11.0).abs() < 0.01);
        assert!((ratio.get(Tick::from_millis(11_000)) - (1.0 + 10.0 / std::f64::consts::E)).abs() < 0.05);
        assert!((ratio.get(Tick::from_millis(200_000)) - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_low_sample_right_after_a_peak_changes_little() {
        let ratio = SlowRatio::default();
        ratio.observe(11.0, Tick::from_millis(1_000));
        ratio.observe(1.0, Tick::from_millis(1_100));
        assert!(ratio.get(Tick::from_millis(1_100)) > 10.5);
        ratio.observe(f64::NAN, Tick::from_millis(1_200));
        assert!(ratio.get(Tick::from_millis(1_200)).is_finite());
    }
}
