//! Round trips of one link: the minimum over a minute (the distance) and a moving average (what a request meets now).

use crate::time::Tick;
use std::{collections::VecDeque, time::Duration};

const SPAN: Duration = Duration::from_secs(60);
const SMOOTHING: f64 = 0.25;
/// More pings than this in a minute are not sent.
const MOST: usize = 64;

/// Kept by the one task that pings; readers see the two results in `Load`.
#[derive(Debug, Default)]
pub struct RttWindow {
    samples: VecDeque<(Tick, f64)>,
    average: Option<f64>,
}

impl RttWindow {
    /// Returns the average and the minimum, in seconds.
    pub fn record(&mut self, rtt: Duration, now: Tick) -> (f64, f64) {
        let rtt = rtt.as_secs_f64();
        while self.samples.len() >= MOST || self.samples.front().is_some_and(|(at, _)| now.since(*at) > SPAN) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, rtt));
        let average = self.average.map_or(rtt, |average| average + SMOOTHING * (rtt - average));
        self.average = Some(average);
        (average, self.samples.iter().map(|(_, rtt)| *rtt).fold(f64::INFINITY, f64::min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_forgets_after_a_minute() {
        let mut window = RttWindow::default();
        window.record(Duration::from_millis(5), Tick::from_millis(0));
        let (average, least) = window.record(Duration::from_millis(25), Tick::from_millis(5_000));
        assert!((average - 0.010).abs() < 1e-9 && (least - 0.005).abs() < 1e-9);
        let (_, least) = window.record(Duration::from_millis(25), Tick::from_millis(61_000));
        assert!((least - 0.025).abs() < 1e-9);
    }
}
