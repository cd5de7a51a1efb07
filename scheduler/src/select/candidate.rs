//! One worker as a candidate for one artifact, and what a request would cost there in seconds.

use super::{
    breaker::{Breaker, Failure, Gate},
    load::{Load, STALE},
    slow::SlowRatio,
};
use crate::time::Tick;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use waybill_protocol::{
    WalletId, WorkerId,
    dispatch::Sort,
    frame::{InputKind, Job},
};

/// Bytes per token when nobody has tokenised yet.
const BYTES_PER_TOKEN: usize = 4;
/// Answers are mostly shorter than what they may be.
const TYPICAL_OUTPUT: u32 = 256;
/// What a failure counts as, instead of a time to the first event.
const FAILURE_PENALTY: Duration = Duration::from_secs(5);
const LONGEST_PENALTY: Duration = Duration::from_secs(300);
/// Cost factor of a worker whose report is stale.
const STALE_FACTOR: f64 = 1.5;
/// Cost factor of an operator whose other worker has just failed the same request.
const SAME_OPERATOR_FACTOR: f64 = 4.0;
/// Fewer answers than this within the period make a worker a newcomer, which exploration favours.
const NEWCOMER_SAMPLES: u32 = 20;
const NEWCOMER_PERIOD_S: u32 = 600;
/// Seconds below which a prediction is noise of the clock and the network.
const SHORTEST_PREDICTION_S: f64 = 0.005;

/// How much work a request brings, in tokens. An estimate: nothing is tokenised on the way to a worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    pub prompt: u32,
    pub output: u32,
}

impl Demand {
    pub fn of(job: &Job) -> Self {
        match job.input.as_ref().and_then(|input| input.kind.as_ref()) {
            Some(InputKind::Chat(chat)) => {
                let bytes: usize = chat.turns.iter().map(|turn| turn.role.len() + turn.content.len()).sum();
                Self { prompt: tokens(bytes), output: chat.max_tokens.clamp(1, TYPICAL_OUTPUT) }
            }
            Some(InputKind::Embed(embed)) => {
                let size = |item: &waybill_protocol::frame::EmbedItem| {
                    if item.tokens.is_empty() { item.text.len() } else { item.tokens.len() * BYTES_PER_TOKEN }
                };
                Self { prompt: tokens(embed.items.iter().map(size).sum()), output: 0 }
            }
            None => Self { prompt: 1, output: 0 },
        }
    }

    pub fn tokens(self) -> u32 {
        self.prompt.saturating_add(self.output)
    }
}

fn tokens(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX).max(1)
}

/// Tokens per second, all positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speeds {
    pub prefill: f64,
    pub decode: f64,
    /// At which the queue drains.
    pub throughput: f64,
}

/// What experience says of a worker with an artifact. Outlives its session: reconnecting wipes nothing clean.
#[derive(Debug, Default)]
pub struct Track {
    pub slow: SlowRatio,
    pub breaker: Breaker,
    /// Period number above, samples in it below.
    samples: AtomicU64,
}

impl Track {
    /// The first event came after `observed` where `predicted` seconds were expected.
    pub fn answered(&self, observed: Duration, predicted: f64, now: Tick, probe: bool) {
        self.slow.observe(observed.as_secs_f64() / predicted.max(SHORTEST_PREDICTION_S), now);
        self.breaker.succeeded(now, probe);
        self.count_sample(now);
    }

    /// The worker refused what no worker could have done: it is well, but nothing is known of its speed.
    pub fn refused(&self, now: Tick, probe: bool) {
        self.breaker.succeeded(now, probe);
    }

    /// `retry_after`: the worker's own word on when to come back.
    pub fn failed(
        &self,
        failure: Failure,
        retry_after: Option<Duration>,
        predicted: f64,
        now: Tick,
        probe: bool,
        jitter: f64,
    ) {
        let penalty = retry_after.map_or(FAILURE_PENALTY, |wait| wait.min(LONGEST_PENALTY));
        self.slow.observe(penalty.as_secs_f64() / predicted.max(SHORTEST_PREDICTION_S), now);
        self.breaker.failed(now, failure, probe, jitter);
        self.count_sample(now);
    }

    /// The consumer left after `waited` without an event: that it took at least as long is worth knowing.
    pub fn abandoned(&self, waited: Duration, predicted: f64, now: Tick, probe: bool) {
        let sample = waited.as_secs_f64() / predicted.max(SHORTEST_PREDICTION_S);
        if sample > self.slow.get(now) {
            self.slow.observe(sample, now);
        }
        if probe {
            self.breaker.probe_abandoned(now);
        }
    }

    pub fn is_newcomer(&self, now: Tick) -> bool {
        let word = self.samples.load(Relaxed);
        (word >> 32) as u32 != period(now) || (word as u32) < NEWCOMER_SAMPLES
    }

    fn count_sample(&self, now: Tick) {
        let count = |word: u64| {
            let same = (word >> 32) as u32 == period(now);
            let samples = if same { (word as u32).saturating_add(1) } else { 1 };
            Some(u64::from(period(now)) << 32 | u64::from(samples))
        };
        // The closure never declines, so there is no error to see.
        let _ = self.samples.fetch_update(Relaxed, Relaxed, count);
    }
}

fn period(now: Tick) -> u32 {
    (now.0 / 1_000_000) as u32 / NEWCOMER_PERIOD_S
}

/// `H` is what a dispatcher needs to reach the worker; selection does not look at it.
#[derive(Debug)]
pub struct Candidate<H> {
    pub worker: WorkerId,
    pub operator: WalletId,
    pub region: Arc<str>,
    /// 0 home, 1 edge, 2 datacenter.
    pub class: u16,
    /// As in the container's stage: 0 chat, 1 embed.
    pub kind: u32,
    /// Prefill and decode as the worker measured them at warm-up; 0 when it did not.
    pub offered: (f32, f32),
    /// Nano-credits per 1,000 billable units, where workers ask different prices.
    pub ask: Option<u64>,
    pub load: Arc<Load>,
    pub track: Arc<Track>,
    pub handle: H,
}

/// The scale of a snapshot, which makes seconds and prices comparable.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub seconds: f64,
    pub price: f64,
}

impl<H> Candidate<H> {
    /// What the worker offers counts up to the typical speed of its class until it has reported for a while: a claim
    /// costs nothing. Later, claims that are too high show as a slow ratio.
    pub fn speeds(&self) -> Speeds {
        let typical = match self.class {
            0 => 50.0,
            1 => 200.0,
            _ => 2_000.0,
        };
        let (prefill, decode) = (f64::from(self.offered.0), f64::from(self.offered.1));
        let measured = self.load.measured_speeds();
        let pick = |offered: f64, measured: Option<f64>, most: f64| {
            let offered = if offered.is_finite() && offered > 0.0 { offered } else { most };
            match measured {
                Some(measured) if measured > 0.0 => measured,
                Some(_) => offered,
                None => offered.min(most),
            }
        };
        // A report sums over all models of a worker, so its prefill says nothing about this one if it also embeds.
        let prefill = pick(prefill, measured.map(|_| 0.0), typical * 20.0);
        let decode = pick(decode, measured.map(|speeds| if self.kind == 0 { speeds.1 } else { 0.0 }), typical);
        let throughput = if self.kind == 0 { decode } else { prefill };
        Speeds { prefill, decode, throughput }
    }

    /// Weight in the draw.
    pub fn capacity(&self) -> f64 {
        self.speeds().throughput.max(1e-3)
    }

    /// Seconds to wait, to read the prompt and to write the answer.
    fn work(&self, demand: Demand, now: Tick) -> (f64, f64, f64, f64) {
        let speeds = self.speeds();
        let usage = self.load.usage().min(0.999);
        let wait = self.load.waiting_tokens(now) as f64 / speeds.throughput + 0.15 * usage / (1.0 - usage);
        let read = f64::from(demand.prompt) / speeds.prefill;
        let step = if demand.output > 0 { 1.0 / speeds.decode } else { 0.0 };
        (wait, read, step, f64::from(demand.output) * step)
    }

    /// Predicted seconds to the first event, of a worker that keeps its word.
    pub fn predicted(&self, demand: Demand, now: Tick) -> f64 {
        let (wait, read, step, _) = self.work(demand, now);
        self.load.rtt_average() + wait + read + step
    }

    /// Expected seconds to the end of the answer.
    pub fn seconds(&self, demand: Demand, now: Tick) -> f64 {
        let (wait, read, _, write) = self.work(demand, now);
        let seconds = self.load.rtt_average() + self.track.slow.get(now) * (wait + read + write);
        if self.load.age(now) > STALE { seconds * STALE_FACTOR } else { seconds }
    }

    /// Lower is better; 1 + the weight of price is that of the snapshot's median worker.
    pub fn cost(&self, demand: Demand, scale: Scale, sort: Sort, failed_operators: &[WalletId], now: Tick) -> f64 {
        let price_weight = match sort {
            Sort::Balanced => 1.0,
            Sort::Latency => 0.1,
            Sort::Price => 10.0,
        };
        let price = self.ask.map_or(1.0, |ask| ask as f64 / scale.price);
        let cost = self.seconds(demand, now) / scale.seconds + price_weight * price;
        if failed_operators.contains(&self.operator) { cost * SAME_OPERATOR_FACTOR } else { cost }
    }

    pub fn gate(&self, now: Tick) -> Gate {
        self.track.breaker.gate(now)
    }
}
