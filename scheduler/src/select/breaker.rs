//! The circuit breaker of one worker for one artifact. It opens on five failures in a row or on a success ratio below
//! one half, stays open for 1 s doubling to 60 s, and then lets exactly one probe through.

use crate::{lock, time::Tick, window::Window};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

const FAILURES_IN_A_ROW: u32 = 5;
const RATIO_SAMPLES: u64 = 20;
const FIRST_OPEN: Duration = Duration::from_secs(1);
const LONGEST_OPEN: Duration = Duration::from_secs(60);
/// A probe that never reports back is written off, and the next one may go.
const PROBE_LEASE: Duration = Duration::from_secs(90);
const PROBING: u64 = 1 << 63;

/// What may pass now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Closed,
    /// One request may try whether the worker is well again.
    ProbeDue,
    Open {
        until: Tick,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The worker was full: lowers the success ratio, but is no failure in a row.
    Busy,
    Broken,
}

#[derive(Debug, Default)]
pub struct Breaker {
    /// 0 closed; else the tick when a probe may go, with the top bit set while one is under way.
    gate: AtomicU64,
    history: Mutex<History>,
}

#[derive(Debug, Default)]
struct History {
    window: Window,
    in_a_row: u32,
    openings: u32,
}

impl Breaker {
    pub fn gate(&self, now: Tick) -> Gate {
        match self.gate.load(Relaxed) {
            0 => Gate::Closed,
            word if word & !PROBING <= now.0 => Gate::ProbeDue,
            word => Gate::Open { until: Tick(word & !PROBING) },
        }
    }

    /// Takes the one probe. False when somebody else has it, or none is due.
    pub fn take_probe(&self, now: Tick) -> bool {
        let word = self.gate.load(Relaxed);
        let due = word != 0 && word & !PROBING <= now.0;
        let leased = PROBING | now.after(PROBE_LEASE).0;
        due && self.gate.compare_exchange(word, leased, Relaxed, Relaxed).is_ok()
    }

    pub fn succeeded(&self, now: Tick, probe: bool) {
        let mut history = lock(&self.history);
        history.in_a_row = 0;
        if probe {
            // A worker that recovered starts with a clean record.
            history.openings = 0;
            history.window.clear();
            self.gate.store(0, Relaxed);
            metrics::counter!("waybill_breaker_transitions_total", "to" => "closed").increment(1);
        }
        history.window.add(now, 1, 0);
    }

    /// `jitter` in 0..1 spreads the probes of workers that failed together.
    pub fn failed(&self, now: Tick, failure: Failure, probe: bool, jitter: f64) {
        let mut history = lock(&self.history);
        history.window.add(now, 0, 1);
        if failure == Failure::Broken {
            history.in_a_row = history.in_a_row.saturating_add(1);
        }
        let (good, bad) = history.window.sums(now);
        let trips = history.in_a_row >= FAILURES_IN_A_ROW || (good + bad >= RATIO_SAMPLES && good < bad);
        let closed = self.gate.load(Relaxed) == 0;
        if probe || (closed && trips) {
            let doubled = FIRST_OPEN.saturating_mul(1 << history.openings.min(10)).min(LONGEST_OPEN);
            let open = doubled.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0));
            history.openings = history.openings.saturating_add(1);
            self.gate.store(now.after(open).0.max(1), Relaxed);
            metrics::counter!("waybill_breaker_transitions_total", "to" => "open").increment(1);
        }
    }

    /// The probe's consumer left before it told anything: the next request may probe.
    pub fn probe_abandoned(&self, now: Tick) {
        let word = self.gate.load(Relaxed);
        if word & PROBING != 0 {
            // Losing this race means that the probe's lease ran out and another one took it.
            let _ = self.gate.compare_exchange(word, now.0.max(1), Relaxed, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        (0..5).for_each(|_| breaker.failed(at(0), Failure::Broken, false, 0.5));
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_exactly_one_probe_passes() {
        let breaker = opened();
        assert_eq!(breaker.gate(at(999)), Gate::Open { until: at(1_000) });
        assert_eq!(breaker.gate(at(1_000)), Gate::ProbeDue);
        assert!(breaker.take_probe(at(1_000)));
        assert!(!breaker.take_probe(at(1_000)));
        assert!(matches!(breaker.gate(at(2_000)), Gate::Open { .. }));
        breaker.succeeded(at(2_000), true);
        assert_eq!(breaker.gate(at(2_000)), Gate::Closed);
    }

    #[test]
    fn every_failed_probe_doubles_the_wait_up_to_a_minute() {
        let breaker = opened();
        let mut now = at(1_000);
        for expected in [2, 4, 8, 16, 32, 60, 60] {
            assert!(breaker.take_probe(now));
            breaker.failed(now, Failure::Busy, true, 0.5);
            let next = now.after(Duration::from_secs(expected));
            assert_eq!(breaker.gate(now), Gate::Open { until: next });
            now = next;
        }
    }

    #[test]
    fn refusals_for_load_open_it_only_by_the_ratio() {
        let breaker = Breaker::default();
        (0..19).for_each(|_| breaker.failed(at(0), Failure::Busy, false, 0.5));
        assert_eq!(breaker.gate(at(0)), Gate::Closed);
        breaker.failed(at(0), Failure::Busy, false, 0.5);
        assert!(matches!(breaker.gate(at(0)), Gate::Open { .. }));
    }

    #[test]
    fn a_late_success_of_an_older_job_does_not_close_it() {
        let breaker = opened();
        breaker.succeeded(at(10), false);
        assert!(matches!(breaker.gate(at(10)), Gate::Open { .. }));
    }

    #[test]
    fn an_abandoned_or_lost_probe_frees_its_place() {
        let breaker = opened();
        assert!(breaker.take_probe(at(1_000)));
        breaker.probe_abandoned(at(1_100));
        assert!(breaker.take_probe(at(1_100)));
        assert!(breaker.take_probe(at(1_100 + 90_000)));
    }
}
