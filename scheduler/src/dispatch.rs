//! From a job to a worker that has begun it: the one retry loop of the path. Until the first event another worker may
//! be tried, at most two more; after it, nothing is.

use crate::{
    fleet::{Handle, Slot},
    job_stream::{JobStream, read_event},
    messages::Messages,
    scheduler::Scheduler,
    select::{Chosen, Demand, Failure, NoChoice, Query},
    session,
    time::Clock,
};
use async_trait::async_trait;
use futures_util::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::task_tracker::TaskTrackerToken;
use waybill_protocol::{
    ArtifactId, Dispatch, DispatchError, Dispatched, RouteWish, WalletId, WorkerId, WorkerView,
    frame::{Ack, Event, Fault, FaultCode, Job},
    signing,
};

const ATTEMPTS: u32 = 3;
const DEFAULT_RETRY_MS: u32 = 500;

#[async_trait]
impl Dispatch for Scheduler {
    /// An order's signature is checked where it enters from another process, and by the worker; here only its gateway.
    async fn dispatch(&self, job: Job, wish: RouteWish) -> Result<Dispatched, DispatchError> {
        let outcome = self.attempts(job, wish).await;
        metrics::counter!("waybill_dispatch_total", "outcome" => outcome_name(&outcome)).increment(1);
        outcome
    }

    async fn acknowledge(&self, ack: Ack) {
        let delivered = WorkerId::try_from(&*ack.worker)
            .ok()
            .and_then(|worker| self.fleet.session(worker))
            .is_some_and(|session| session.acknowledge(ack));
        if !delivered {
            metrics::counter!("waybill_acks_dropped_total").increment(1);
        }
    }

    async fn resync(&self, worker: WorkerId) {
        let Some(session) = self.fleet.session(worker) else { return };
        metrics::counter!("waybill_resyncs_total").increment(1);
        match session::resync(self, &session).await {
            Ok(()) => tracing::info!(%worker, "the worker was told again where its lines stand"),
            Err(reason) => tracing::warn!(%worker, %reason, "the worker was not told where its lines stand"),
        }
    }

    async fn workers(&self) -> Result<Vec<WorkerView>, DispatchError> {
        Ok(self.fleet.views())
    }
}

impl Scheduler {
    /// Refuses what this scheduler does not bring to workers.
    fn check_gateway(&self, job: &Job) -> Result<(), DispatchError> {
        let known = WalletId::try_from(&*job.gateway).is_ok_and(|gateway| self.config.gateways.contains(&gateway));
        if known {
            Ok(())
        } else {
            Err(refused(FaultCode::Unfunded, "this scheduler does not serve the order's gateway"))
        }
    }

    /// For jobs of another process: the order must be signed by a gateway that is served here.
    pub(crate) fn check_order(&self, job: &Job) -> Result<(), DispatchError> {
        self.check_gateway(job)?;
        let signed = <&[u8; 32]>::try_from(&*job.gateway)
            .is_ok_and(|key| signing::verify(key, &job.order, &job.order_signature));
        if signed { Ok(()) } else { Err(refused(FaultCode::Unfunded, "the order's signature is not its gateway's")) }
    }

    async fn attempts(&self, mut job: Job, wish: RouteWish) -> Result<Dispatched, DispatchError> {
        // Counted before the flag is read, so that a drain that sees no jobs gets none later.
        let counted = self.jobs.token();
        if self.is_draining() {
            return Err(DispatchError::Unavailable("draining".into()));
        }
        self.check_gateway(&job)?;
        let artifact = ArtifactId::try_from(&*job.artifact)
            .map_err(|_| refused(FaultCode::BadInput, "the artifact's hash has not 32 bytes"))?;
        let patience = match job.deadline_ms {
            0 => self.config.timing.first_event,
            millis => Duration::from_millis(millis.into()),
        };
        let deadline = Instant::now() + patience;
        let demand = Demand::of(&job);
        let mut tried: Vec<WorkerId> = Vec::new();
        let mut operators: Vec<WalletId> = Vec::new();
        let mut last: Option<Fault> = None;
        self.budget.request(self.clock.now());

        for attempt in 1..=ATTEMPTS {
            let (chosen, slot, others) = match self.choose(&artifact, &wish, demand, &tried, &operators, deadline).await
            {
                Ok(chosen) => chosen,
                Err(none) => {
                    return Err(last.map_or_else(|| none.into_error(), |fault| spent(attempt - 1, fault, deadline)));
                }
            };
            let candidate = Arc::clone(&chosen.candidate);
            let remaining = deadline.saturating_duration_since(Instant::now());
            job.deadline_ms = remaining.as_millis().clamp(1, u32::MAX.into()) as u32;
            // Others who could still take over share the time that is left.
            let turns = (ATTEMPTS - attempt + 1).min(1 + others);
            let trial = Trial::start(&chosen, self);
            match self.try_once(&job, &chosen, Instant::now() + remaining / turns).await {
                Ok((first, messages)) => {
                    trial.answered();
                    let (track, clock, predicted) =
                        (Arc::clone(&candidate.track), Arc::clone(&self.clock), chosen.predicted);
                    let record = move |_: &Fault| {
                        track.failed(Failure::Broken, None, predicted, clock.now(), false, rand::random())
                    };
                    let held: (Slot, TaskTrackerToken) = (slot, counted);
                    let events =
                        JobStream::new(messages, Some(first), self.config.timing.stall, held).on_failure(record);
                    let region = candidate.region.to_string();
                    return Ok(Dispatched {
                        worker: candidate.worker,
                        region,
                        attempts: attempt,
                        events: events.boxed(),
                    });
                }
                // Unsettled, the trial counts the time that the worker took.
                Err(fault) if fault.code() == FaultCode::PastDeadline => return Err(DispatchError::Timeout),
                Err(fault) if !fault.is_retryable() => {
                    trial.refused();
                    return Err(DispatchError::Refused(fault));
                }
                Err(fault) => {
                    trial.failed(&fault);
                    tracing::debug!(worker = %candidate.worker, attempt, %fault, request = %job.request_id, "an attempt failed");
                    let exhausted =
                        attempt == ATTEMPTS || Instant::now() >= deadline || !self.budget.take(self.clock.now());
                    if exhausted {
                        return Err(spent(attempt, fault, deadline));
                    }
                    metrics::counter!("waybill_retries_total", "reason" => fault.code().as_str_name()).increment(1);
                    if others == 0 && fault.code() == FaultCode::Busy {
                        // Nobody else could take it, and a full worker is soon less full.
                        drop(slot);
                        tokio::time::sleep(pause(attempt).min(deadline.saturating_duration_since(Instant::now())))
                            .await;
                    } else {
                        tried.push(candidate.worker);
                        operators.push(candidate.operator);
                    }
                    last = Some(fault);
                }
            }
        }
        Err(DispatchError::Timeout)
    }

    /// Chooses and takes the slot in one step, waiting a while where all who fit are full. The last value is how many
    /// more candidates the artifact has.
    async fn choose(
        &self,
        artifact: &ArtifactId,
        wish: &RouteWish,
        demand: Demand,
        tried: &[WorkerId],
        operators: &[WalletId],
        deadline: Instant,
    ) -> Result<(Chosen<Handle>, Slot, u32), NoChoice> {
        let started = Instant::now();
        let patience = self.config.timing.slot_wait.min(deadline.saturating_duration_since(started) / 2);
        let mut place = None;
        loop {
            let freed = self.fleet.freed.notified();
            tokio::pin!(freed);
            // From here on a slot that becomes free is not missed.
            freed.as_mut().enable();
            let Some(snapshot) = self.fleet.snapshot(artifact) else {
                return Err(NoChoice { drops: Default::default(), retry_after: None });
            };
            let query = Query { wish, demand, tried, tried_operators: operators, now: self.clock.now() };
            let none = match snapshot.choose(&query, &mut self.rng()) {
                Ok(chosen) => {
                    let slot = Slot::take(&chosen.candidate.load, demand.tokens(), &self.fleet);
                    let others = snapshot.candidates().len().saturating_sub(tried.len() + 1) as u32;
                    return Ok((chosen, slot, others));
                }
                Err(none) => none,
            };
            if none.drops.full == 0 || !tried.is_empty() {
                return Err(none);
            }
            if place.is_none() {
                place = self.waiting.try_acquire().ok();
            }
            if place.is_none() || timeout_at(started + patience, freed).await.is_err() {
                return Err(none);
            }
        }
    }

    /// Brings the job to the worker and waits for its first event.
    async fn try_once(
        &self,
        job: &Job,
        chosen: &Chosen<Handle>,
        until: Instant,
    ) -> Result<(Event, Messages<Event>), Fault> {
        let run = async {
            let link = &chosen.candidate.handle.link;
            let mut messages = link.run(job).await.map_err(|error| match error {
                crate::link::LinkError::Broken(_) => Fault::new(FaultCode::Lost, error.to_string()),
                _ => Fault::new(FaultCode::Protocol, error.to_string()),
            })?;
            let first = read_event(messages.next().await).map_err(|refused| refused.into_fault())?;
            Ok((first, messages))
        };
        let silent = |_| Err(Fault::new(FaultCode::Lost, "no first event in time"));
        timeout_at(until, run).await.unwrap_or_else(silent)
    }
}

impl NoChoice {
    fn into_error(self) -> DispatchError {
        match self.retry_after {
            Some(wait) => DispatchError::Busy { retry_after_ms: wait.as_millis().clamp(1, u32::MAX.into()) as u32 },
            None => DispatchError::NoWorker(self.drops.to_string()),
        }
    }
}

/// Before the same worker is asked again: 50 ms × 1.5ⁿ, spread by a fifth.
fn pause(attempt: u32) -> Duration {
    Duration::from_millis(50).mul_f64(1.5_f64.powi(attempt as i32 - 1) * (0.8 + 0.4 * rand::random::<f64>()))
}

fn refused(code: FaultCode, detail: &str) -> DispatchError {
    DispatchError::Refused(Fault::new(code, detail))
}

/// All attempts that could be made failed, the last one with `fault`.
fn spent(attempts: u32, fault: Fault, deadline: Instant) -> DispatchError {
    if Instant::now() >= deadline {
        return DispatchError::Timeout;
    }
    match fault.code() {
        FaultCode::Busy => DispatchError::Busy { retry_after_ms: fault.retry_after_ms.unwrap_or(DEFAULT_RETRY_MS) },
        _ => DispatchError::Exhausted { attempts, last: fault },
    }
}

fn outcome_name(outcome: &Result<Dispatched, DispatchError>) -> &'static str {
    match outcome {
        Ok(_) => "begun",
        Err(DispatchError::NoWorker(_)) => "no_worker",
        Err(DispatchError::Busy { .. }) => "busy",
        Err(DispatchError::Refused(_)) => "refused",
        Err(DispatchError::Exhausted { .. }) => "exhausted",
        Err(DispatchError::Timeout) => "timeout",
        Err(DispatchError::Unavailable(_)) => "unavailable",
    }
}

/// What one attempt teaches about its worker. Dropped unsettled, the consumer left before the first event.
struct Trial<'a> {
    chosen: &'a Chosen<Handle>,
    clock: &'a dyn Clock,
    started: Instant,
    settled: bool,
}

impl<'a> Trial<'a> {
    fn start(chosen: &'a Chosen<Handle>, scheduler: &'a Scheduler) -> Self {
        Self { chosen, clock: &*scheduler.clock, started: Instant::now(), settled: false }
    }

    fn answered(mut self) {
        self.settled = true;
        let Chosen { candidate, probe, predicted } = self.chosen;
        candidate.track.answered(self.started.elapsed(), *predicted, self.clock.now(), *probe);
    }

    fn refused(mut self) {
        self.settled = true;
        self.chosen.candidate.track.refused(self.clock.now(), self.chosen.probe);
    }

    fn failed(mut self, fault: &Fault) {
        self.settled = true;
        let Chosen { candidate, probe, predicted } = self.chosen;
        let failure = if fault.code() == FaultCode::Busy { Failure::Busy } else { Failure::Broken };
        let retry_after = fault.retry_after_ms.map(|millis| Duration::from_millis(millis.into()));
        candidate.track.failed(failure, retry_after, *predicted, self.clock.now(), *probe, rand::random());
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let Chosen { candidate, probe, predicted } = self.chosen;
            candidate.track.abandoned(self.started.elapsed(), *predicted, self.clock.now(), *probe);
        }
    }
}
