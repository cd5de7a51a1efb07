//! What the scheduler knows of one worker's load: its last report, plus what was sent since and the report could not
//! know. Counting the latter at once keeps many requests between two reports from herding to the same worker.

use crate::{lock, time::Tick};
use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use waybill_protocol::frame::Report;

/// A report older than this no longer says how long the queue is.
pub const STALE: Duration = Duration::from_secs(3);
/// A worker silent for this long gets nothing until it reports again.
pub const SILENT: Duration = Duration::from_secs(10);
/// Reports until a worker's own word on its speed counts.
pub const PROVEN_REPORTS: u32 = 5;
/// Until the first ping.
const DEFAULT_RTT_S: f32 = 0.030;

/// Names one job of a session, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobNumber(u64);

#[derive(Debug)]
pub struct Load {
    slots: u32,
    reported_at: AtomicU64,
    reports: AtomicU32,
    queued_tokens: AtomicU32,
    active: AtomicU32,
    free_slots: AtomicU32,
    /// f32 bits, tokens per second; 0 when the worker has measured none.
    prefill_tps: AtomicU32,
    decode_tps: AtomicU32,
    worker_drains: AtomicBool,
    gone: AtomicBool,
    /// f32 bits, seconds.
    rtt_average: AtomicU32,
    rtt_least: AtomicU32,
    unacked_tokens: AtomicU64,
    unacked_jobs: AtomicU32,
    running: AtomicU32,
    freed: AtomicU32,
    credit: Mutex<Credit>,
}

/// The jobs that no report has acknowledged yet, oldest first.
#[derive(Debug, Default)]
struct Credit {
    sent: u64,
    /// Jobs that we counted and the worker never saw, because their consumer left before they were on the wire.
    never_seen: i64,
    jobs: VecDeque<(u64, u32)>,
}

impl Load {
    /// A worker that has just been admitted and may hold `slots` jobs at once.
    pub fn new(slots: u32, now: Tick) -> Self {
        Self {
            slots,
            reported_at: AtomicU64::new(now.0),
            reports: AtomicU32::new(0),
            queued_tokens: AtomicU32::new(0),
            active: AtomicU32::new(0),
            free_slots: AtomicU32::new(slots),
            prefill_tps: AtomicU32::new(0),
            decode_tps: AtomicU32::new(0),
            worker_drains: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            rtt_average: AtomicU32::new(DEFAULT_RTT_S.to_bits()),
            rtt_least: AtomicU32::new(DEFAULT_RTT_S.to_bits()),
            unacked_tokens: AtomicU64::new(0),
            unacked_jobs: AtomicU32::new(0),
            running: AtomicU32::new(0),
            freed: AtomicU32::new(0),
            credit: Mutex::default(),
        }
    }

    /// Counts a job that is about to be sent.
    pub fn sent(&self, tokens: u32) -> JobNumber {
        let mut credit = lock(&self.credit);
        credit.sent += 1;
        let number = credit.sent;
        credit.jobs.push_back((number, tokens));
        self.running.fetch_add(1, Relaxed);
        self.mirror(&credit);
        JobNumber(number)
    }

    /// The job ended, in whatever way. Called exactly once per job.
    pub fn finished(&self, number: JobNumber) {
        let mut credit = lock(&self.credit);
        self.running.fetch_sub(1, Relaxed);
        match credit.jobs.binary_search_by_key(&number.0, |job| job.0) {
            Ok(at) => {
                credit.jobs.remove(at);
                self.mirror(&credit);
            }
            // A report counted it as active; its slot is free although no report says so yet.
            Err(_) => {
                self.freed.fetch_add(1, Relaxed);
            }
        }
    }

    /// Takes in a report and forgets the credit of the jobs that it covers.
    pub fn reported(&self, report: &Report, now: Tick) {
        let mut credit = lock(&self.credit);
        let received = i64::try_from(report.received_jobs).unwrap_or(i64::MAX);
        if self.running.load(Relaxed) == 0 {
            credit.never_seen = (credit.sent as i64).saturating_sub(received);
        }
        let covered = received.saturating_add(credit.never_seen).max(0) as u64;
        while credit.jobs.front().is_some_and(|job| job.0 <= covered) {
            credit.jobs.pop_front();
        }
        self.freed.store(0, Relaxed);
        self.mirror(&credit);
        self.queued_tokens.store(report.queued_tokens, Relaxed);
        self.active.store(report.active, Relaxed);
        self.free_slots.store(report.free_slots, Relaxed);
        self.prefill_tps.store(sane(report.prefill_tps).to_bits(), Relaxed);
        self.decode_tps.store(sane(report.decode_tps).to_bits(), Relaxed);
        self.worker_drains.store(report.draining, Relaxed);
        self.reports.fetch_add(1, Relaxed);
        self.reported_at.store(now.0, Relaxed);
    }

    /// Average and minimum in seconds.
    pub fn pinged(&self, average: f64, least: f64) {
        self.rtt_average.store((average as f32).to_bits(), Relaxed);
        self.rtt_least.store((least as f32).to_bits(), Relaxed);
    }

    /// The session ended. Snapshots that still hold this worker skip it.
    pub fn leave(&self) {
        self.gone.store(true, Relaxed);
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    pub fn is_draining(&self) -> bool {
        self.worker_drains.load(Relaxed)
    }

    pub fn age(&self, now: Tick) -> Duration {
        now.since(Tick(self.reported_at.load(Relaxed)))
    }

    /// Whether one more job would only be refused.
    pub fn is_full(&self, now: Tick) -> bool {
        if self.age(now) > STALE {
            return self.running.load(Relaxed) >= self.slots;
        }
        self.free_slots() == 0
    }

    /// Slots that the last report and our own count since then leave.
    pub fn free_slots(&self) -> u32 {
        let free = self.free_slots.load(Relaxed).saturating_add(self.freed.load(Relaxed));
        free.saturating_sub(self.unacked_jobs.load(Relaxed))
    }

    pub fn active(&self) -> u32 {
        self.active.load(Relaxed)
    }

    /// Tokens ahead of a new request: those that the worker reports and those that it has not reported yet.
    pub fn waiting_tokens(&self, now: Tick) -> u64 {
        let queued = if self.age(now) > STALE { 0 } else { self.queued_tokens.load(Relaxed) };
        u64::from(queued) + self.unacked_tokens.load(Relaxed)
    }

    /// Share of the slots in use, from 0 to 1.
    pub fn usage(&self) -> f64 {
        let free = f64::from(self.free_slots());
        let busy = f64::from(self.active.load(Relaxed).max(self.running.load(Relaxed)));
        if busy == 0.0 { 0.0 } else { busy / (busy + free) }
    }

    /// Seconds.
    pub fn rtt_average(&self) -> f64 {
        f64::from(f32::from_bits(self.rtt_average.load(Relaxed)))
    }

    /// Seconds, least of the last minute.
    pub fn rtt_least(&self) -> f64 {
        f64::from(f32::from_bits(self.rtt_least.load(Relaxed)))
    }

    /// Prefill and decode in tokens per second, once the worker has reported long enough to be believed.
    pub fn measured_speeds(&self) -> Option<(f64, f64)> {
        (self.reports.load(Relaxed) >= PROVEN_REPORTS).then(|| {
            let read = |cell: &AtomicU32| f64::from(f32::from_bits(cell.load(Relaxed)));
            (read(&self.prefill_tps), read(&self.decode_tps))
        })
    }

    /// Lock-free readers see the sums of the credit here.
    fn mirror(&self, credit: &Credit) {
        self.unacked_jobs.store(credit.jobs.len() as u32, Relaxed);
        self.unacked_tokens.store(credit.jobs.iter().map(|job| u64::from(job.1)).sum(), Relaxed);
    }
}

fn sane(tps: f32) -> f32 {
    if tps.is_finite() { tps.clamp(0.0, 1e7) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(received_jobs: u64, queued_tokens: u32, free_slots: u32) -> Report {
        Report { received_jobs, queued_tokens, free_slots, ..Report::default() }
    }

    #[test]
    fn credit_counts_at_once_and_leaves_with_the_report_that_covers_it() {
        let load = Load::new(4, Tick(0));
        load.sent(100);
        load.sent(50);
        assert_eq!((load.waiting_tokens(Tick(0)), load.free_slots()), (150, 2));
        load.reported(&report(1, 90, 3), Tick(1));
        assert_eq!((load.waiting_tokens(Tick(1)), load.free_slots()), (140, 2));
    }

    #[test]
    fn a_finished_job_frees_its_slot_before_the_next_report() {
        let load = Load::new(2, Tick(0));
        let jobs = [load.sent(1), load.sent(1)];
        assert!(load.is_full(Tick(0)));
        load.finished(jobs[0]);
        assert!(!load.is_full(Tick(0)));
        load.reported(&report(2, 0, 1), Tick(1));
        load.finished(jobs[1]);
        assert_eq!(load.free_slots(), 2);
    }

    #[test]
    fn a_job_that_never_reached_the_worker_does_not_hold_credit_for_ever() {
        let load = Load::new(8, Tick(0));
        let lost = load.sent(10);
        load.finished(lost);
        load.reported(&report(0, 0, 8), Tick(1));
        load.sent(10);
        load.reported(&report(1, 0, 7), Tick(2));
        assert_eq!((load.waiting_tokens(Tick(2)), load.free_slots()), (0, 7));
    }

    #[test]
    fn a_stale_report_leaves_only_our_own_count() {
        let load = Load::new(2, Tick(0));
        load.reported(&report(0, 500, 0), Tick(0));
        assert!(load.is_full(Tick(0)));
        let later = Tick::from_millis(3_001);
        assert!(!load.is_full(later));
        assert_eq!(load.waiting_tokens(later), 0);
    }
}
