//! The paid path of every model call: reserve → order → dispatch → events → receipt → charge → acknowledge. Nothing here
//! knows HTTP. Whatever ends a call early drops its events (which cancels the work) and its reservation (which charges nothing).

use crate::attribution::Asked;
use crate::auth::Caller;
use crate::check::{self, Breach, Expected};
use crate::credit::{CreditError, Reservation};
use crate::error::{ApiError, Kind};
use crate::market::{ChannelView, Model, Placement, Quote};
use crate::pieces::Output;
use crate::routes::Class;
use crate::state::App;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use prost::Message;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;
use waybill_mechanism::amount;
use waybill_mechanism::message::{Order, Receipt, ctx_hash, flags};
use waybill_protocol::audit::Material;
use waybill_protocol::frame::{Ack, Closed, EventKind, Fault, FaultCode, Finish, Input, Job, MAX_FRAME_BYTES};
use waybill_protocol::{
    DispatchError, Dispatched, EventStream, RequestId, RouteWish, SignedReceipt, WalletId, WorkerId, signing,
};
use waybill_store::{Charge, Charged, LedgerError};

/// Room that a job's frame needs beside its input.
const JOB_OVERHEAD: usize = 4096;
/// How long a finished answer waits for its commit: for the database, and for an earlier receipt of the same line.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);
const LINE_PATIENCE: Duration = Duration::from_secs(1);
/// An earlier receipt that is missing for so long may be lost: the worker is told where the line stands.
const LINE_SUSPICION: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// One call before it is paid for.
#[derive(Clone)]
pub struct Call {
    pub request_id: RequestId,
    pub model: Model,
    /// Where the request named a class: then `model` is the dearest one that may serve it.
    pub class: Option<Class>,
    pub input: Input,
    /// Most units of the prompt, and of the answer.
    pub max_units_in: u64,
    pub max_units_out: u32,
    pub wish: RouteWish,
    /// The promotion slot that brought the request.
    pub placement: Option<Placement>,
    pub streamed: bool,
    /// How long the consumer waits for the first event.
    pub first_event: Duration,
    /// When the request arrived.
    pub arrived: Instant,
}

/// A call that a worker has begun.
pub struct Running {
    pub request_id: RequestId,
    pub model: Model,
    pub quote: Quote,
    pub worker: WorkerId,
    pub region: String,
    pub attempts: u32,
    /// The promotion slot that brought the request.
    pub placement: Option<Placement>,
    app: Arc<App>,
    api_key: String,
    events: EventStream,
    reservation: Reservation,
    payer: Option<Payer>,
    expected: Expected,
    order: Order,
    order_signature: [u8; 64],
    /// What verifiers would need of the input; none for a private call.
    job: Option<Job>,
    last_event: Instant,
    /// Time the gateway itself took before the job left.
    before: Duration,
}

/// The consumer behind a channel and the curator that its grant names.
#[derive(Debug, Clone, Copy)]
struct Payer {
    consumer: WalletId,
    named: WalletId,
}

impl Payer {
    fn of(view: &ChannelView) -> Self {
        Self { consumer: view.consumer, named: view.grant.map_or(WalletId::NONE, |grant| grant.referrer) }
    }
}

/// A call that is charged.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    pub receipt: Receipt,
}

/// Why an answer was not charged, so that its end may not leave.
#[derive(Debug)]
pub enum Unsettled {
    /// The answer is whole and its receipt does not continue its line: the same call once more can succeed.
    LineBroken(ApiError),
    Failed(ApiError),
}

impl From<ApiError> for Unsettled {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<Unsettled> for ApiError {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::LineBroken(error) | Unsettled::Failed(error) => error,
        }
    }
}

/// Reserves credit, signs the order and waits until a worker begins.
pub async fn open(app: &Arc<App>, caller: &Caller, call: Call) -> Result<Running, ApiError> {
    if !app.market.healthy() {
        return Err(ApiError::unavailable("the view of the chain is too old to take money by"));
    }
    if call.input.encoded_len() > MAX_FRAME_BYTES - JOB_OVERHEAD {
        let message =
            format!("The input is too large: at most {} bytes reach a worker.", MAX_FRAME_BYTES - JOB_OVERHEAD);
        return Err(ApiError::new(Kind::TooLarge, message));
    }
    let dearest = &call.model;
    let Some(quote) = dearest.quote else {
        let message = format!("The model '{}' has no price for this period yet, please try again.", dearest.name);
        return Err(ApiError::new(Kind::Overloaded, message));
    };
    let units = call.max_units_in.saturating_add(call.max_units_out.into());
    let max_price_nc = amount::price_nc(units, quote.per_1k).ok_or_else(|| ApiError::internal("a price beyond u64"))?;
    let channel = caller.key.channel;
    let reservation = app.credit.reserve(channel, &caller.key.budget, max_price_nc).await.map_err(refused_credit)?;

    let network = app.market.network();
    let payer = app.market.channel(&channel).map(|view| Payer::of(&view));
    let referrer = match payer {
        Some(Payer { consumer, named }) => {
            let (nonce, container, now_ms) = (reservation.nonce(), dearest.container, app.market.now_ms());
            let asked = Asked { channel, nonce, consumer, container, named, now_ms, epoch_s: network.epoch_s };
            app.attribution.curator(&asked).await.map_err(ApiError::unavailable)?
        }
        None => WalletId::NONE,
    };
    let input_hash = call.input.hash();
    let slot = call.placement.map(|placement| placement.auction.0);
    let ordered_of = call.class.as_ref().map_or(dearest.container.0, |class| class.id);
    let order = Order {
        domain: network.domain,
        channel: channel.0,
        nonce: reservation.nonce(),
        max_price_nc,
        ctx_hash: ctx_hash(&ordered_of, &input_hash, max_price_nc, &referrer.0, slot.as_ref()),
    };
    let order_bytes = order.to_bytes();
    let order_signature = signing::sign(&app.config.key, &order_bytes);
    let flags = flags::DELEGATED
        | if call.streamed { flags::STREAMED } else { 0 }
        | if slot.is_some() { flags::SPONSORED } else { 0 };
    let unplaced = Job {
        request_id: call.request_id.0.clone(),
        order: order_bytes.to_vec().into(),
        order_signature: order_signature.to_vec().into(),
        gateway: app.wallet.0.to_vec().into(),
        referrer: referrer.0.to_vec().into(),
        flags: flags.into(),
        slot: slot.map(|slot| slot.to_vec().into()).unwrap_or_default(),
        input: Some(call.input),
        private: call.wish.private,
        class: call.class.as_ref().map_or_else(Bytes::new, |class| class.id.to_vec().into()),
        ..Job::default()
    };
    let route = match &call.class {
        None => vec![call.model],
        Some(class) => class.route(&order.hash()),
    };
    let sent_ms = app.market.now_ms();
    let before = call.arrived.elapsed();
    let (model, quote, kept, dispatched) = match place(app, unplaced, route, &call.wish, call.first_event).await {
        Ok(placed) => placed,
        Err(error) => {
            tracing::info!(request = %call.request_id, %error, "no worker began the job");
            let reason = if matches!(error, DispatchError::Timeout) { "timeout" } else { "dispatch" };
            metrics::counter!("waybill_shed_total", "reason" => reason).increment(1);
            reservation.abandon(reason);
            let constrained = call.wish != RouteWish { private: call.wish.private, ..RouteWish::default() };
            return Err(ApiError::from_dispatch(&error, constrained));
        }
    };
    if call.max_units_out > 0 {
        metrics::histogram!("waybill_time_to_first_token_seconds").record(call.arrived.elapsed());
    }
    let Dispatched { worker, region, attempts, events } = dispatched;
    let expected = Expected {
        domain: network.domain,
        epoch_s: network.epoch_s,
        gateway: app.wallet,
        worker,
        det_class: app.market.node(&worker).map(|node| node.det_class),
        container: model.container,
        stage: model.stage,
        referrer,
        artifact: model.artifact,
        request_hash: order.hash(),
        input_hash,
        flags,
        max_units_in: call.max_units_in,
        max_units_out: call.max_units_out,
        price_per_1k: quote.per_1k,
        pricing_epoch: quote.pricing_epoch,
        next_price_per_1k: quote.next_per_1k,
        max_price_nc,
        sent_ms,
    };
    Ok(Running {
        request_id: call.request_id,
        model,
        quote,
        worker,
        region,
        attempts,
        placement: call.placement,
        app: app.clone(),
        api_key: caller.key.public_id.clone(),
        events,
        reservation,
        payer,
        expected,
        order,
        order_signature,
        job: kept,
        last_event: Instant::now(),
        before,
    })
}

type Placed = (Model, Quote, Option<Job>, Dispatched);

/// Brings the job to a worker of the first model of the route that has one free, all within `patience`.
async fn place(
    app: &App,
    unplaced: Job,
    route: Vec<Model>,
    wish: &RouteWish,
    patience: Duration,
) -> Result<Placed, DispatchError> {
    let deadline = Instant::now() + patience;
    let mut last = DispatchError::NoWorker("no container of this class has a price".into());
    for model in route {
        let Some(quote) = model.quote else { continue };
        let remaining = deadline.saturating_duration_since(Instant::now());
        let job = Job {
            container: model.container.0.to_vec().into(),
            stage: model.stage.into(),
            artifact: model.artifact.0.to_vec().into(),
            price_per_1k: quote.per_1k,
            pricing_epoch: quote.pricing_epoch,
            next_price_per_1k: quote.next_per_1k,
            deadline_ms: u32::try_from(remaining.as_millis()).unwrap_or(u32::MAX).max(1),
            ..unplaced.clone()
        };
        let kept = (!job.private).then(|| job.clone());
        match tokio::time::timeout_at(deadline, app.dispatch.dispatch(job, wish.clone())).await {
            Ok(Ok(dispatched)) => return Ok((model, quote, kept, dispatched)),
            // Another container may have a worker; what this one's workers refuse, others refuse as well.
            Ok(Err(
                error @ (DispatchError::NoWorker(_) | DispatchError::Busy { .. } | DispatchError::Exhausted { .. }),
            )) => {
                last = error;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(DispatchError::Timeout),
        }
    }
    Err(last)
}

impl Running {
    /// The worker's next event, never a fault. Safe to drop and call again.
    pub async fn next(&mut self) -> Result<EventKind, ApiError> {
        let silence = self.last_event + self.app.config.times.idle;
        let event = match tokio::time::timeout_at(silence, self.events.next()).await {
            Err(_) => return Err(self.failed(&Fault::new(FaultCode::Lost, "the worker fell silent"))),
            Ok(None) => return Err(self.failed(&Fault::new(FaultCode::Lost, "the events ended without a receipt"))),
            Ok(Some(Err(fault))) => return Err(self.failed(&fault)),
            Ok(Some(Ok(event))) => event,
        };
        self.last_event = Instant::now();
        match event.kind {
            Some(EventKind::Fault(fault)) => Err(self.failed(&fault)),
            Some(kind) => Ok(kind),
            None => {
                self.report("an event of no kind");
                Err(ApiError::from_fault(&Fault::new(FaultCode::Protocol, "an event of no kind")))
            }
        }
    }

    /// Takes all events and settles. `consumer` resolves when nobody waits for the answer any more.
    pub async fn collect<O: Output>(
        mut self,
        mut output: O,
        consumer: oneshot::Receiver<()>,
    ) -> Result<(O, Finish, Settled), Unsettled> {
        let mut gone = pin!(consumer);
        let closed = loop {
            let event = tokio::select! {
                biased;
                event = self.next() => event,
                _ = &mut gone => {
                    self.leave(output).await;
                    return Err(ApiError::new(Kind::Internal, "The consumer left.").into());
                }
            };
            match event {
                Ok(EventKind::Closed(closed)) => break closed,
                Ok(event) => {
                    if let Err(what) = output.take(&event) {
                        return Err(self.garbage(what).into());
                    }
                }
                Err(error) => return Err(self.end("worker_failed", error).into()),
            }
        };
        let finish = closed.finish();
        let settled = self.settle(closed, &output).await?;
        Ok((output, finish, settled))
    }

    /// The consumer left: unless the work is already done, it is cancelled and costs nothing. A receipt that is here
    /// already is settled all the same, because the next one of its line continues it.
    pub async fn leave(mut self, mut output: impl Output) {
        while let Some(Ok(event)) = self.next().now_or_never() {
            if let EventKind::Closed(closed) = event {
                if let Err(error) = self.settle(closed, &output).await.map_err(ApiError::from) {
                    tracing::info!(%error, "the work of a consumer that left was not charged");
                }
                return;
            }
            if output.take(&event).is_err() {
                break;
            }
        }
        tracing::info!(request = %self.request_id, status = 499, "the consumer left");
        self.reservation.abandon("consumer_gone");
    }

    /// The worker sent what no honest worker sends: the consumer pays nothing and learns only that it failed.
    pub fn garbage(self, what: &str) -> ApiError {
        self.report(what);
        self.end("garbage", ApiError::from_fault(&Fault::new(FaultCode::Protocol, what)))
    }

    fn report(&self, what: &str) {
        metrics::counter!("waybill_usage_mismatch_total", "field" => "events").increment(1);
        tracing::warn!(request = %self.request_id, worker = %self.worker, what, "a worker broke the protocol");
    }

    /// Most tokens of the answer.
    pub fn max_tokens(&self) -> u32 {
        self.expected.max_units_out
    }

    /// Ends the call without a charge, for a reason that the metrics count, and passes the error on.
    pub fn end(self, reason: &'static str, error: ApiError) -> ApiError {
        self.reservation.abandon(reason);
        error
    }

    /// Checks the receipt, countersigns and commits it. Only after this may the end of the answer leave. Runs to its end
    /// also when the caller goes away: the work is done and its receipt valid. Where it fails, the worker counts on a receipt
    /// that is not in the ledger, and learns so.
    pub async fn settle(self, closed: Closed, output: &impl Output) -> Result<Settled, Unsettled> {
        let (worker, resyncs) = (self.worker, self.app.resyncs.clone());
        let outcome = match output.seal() {
            Ok((output_hash, produced)) => {
                let tasks = self.app.tasks.clone();
                let settling = tasks.spawn(self.settle_now(closed, output_hash, produced, output.values()));
                settling.await.unwrap_or_else(|panic| Err(ApiError::internal(panic).into()))
            }
            Err(what) => Err(self.garbage(what).into()),
        };
        if outcome.is_err() {
            resyncs.ask(worker);
        }
        outcome
    }

    async fn settle_now(
        mut self,
        closed: Closed,
        output_hash: [u8; 32],
        produced: bool,
        values: Bytes,
    ) -> Result<Settled, Unsettled> {
        let closed_at = Instant::now();
        let app = self.app.clone();
        let now_ms = app.market.now_ms();
        let receipt = match check::receipt(
            &closed.receipt,
            &closed.worker_signature,
            &self.expected,
            output_hash,
            produced,
            now_ms,
        ) {
            Ok(receipt) => receipt,
            Err(breach) => return Err(self.refuse(breach.label(), &breach).into()),
        };
        let Ok(worker_signature) = <[u8; 64]>::try_from(closed.worker_signature.as_ref()) else {
            return Err(self.refuse(Breach::Signature.label(), &Breach::Signature).into());
        };
        let signed = SignedReceipt::countersign(receipt, worker_signature, &app.config.key);
        let charge = Charge {
            receipt_id: self.request_id.0.clone(),
            request_id: self.request_id.clone(),
            channel: waybill_protocol::ChannelId(self.order.channel),
            nonce: self.order.nonce,
            model: self.model.name.clone(),
            container: self.model.container,
            stage: self.model.stage,
            referrer: self.expected.referrer,
            api_key: Some(self.api_key.clone()),
            receipt: receipt.to_bytes(),
            worker_sig: signed.worker_signature,
            gateway_sig: signed.gateway_signature,
            order: self.order.to_bytes(),
            order_sig: self.order_signature,
            created_ms: now_ms,
        };
        let charged = match commit(&app, self.worker, charge).await {
            Ok(charged) => charged,
            Err(LedgerError::Database(error)) => {
                return Err(self.end("database", ApiError::unavailable(error)).into());
            }
            Err(LedgerError::Stopped) => {
                return Err(self.end("database", ApiError::unavailable("the ledger has stopped")).into());
            }
            Err(error @ (LedgerError::Discontinuous { .. } | LedgerError::EpochClosed(_))) => {
                return Err(Unsettled::LineBroken(self.refuse("continuity", &error)));
            }
            Err(error) => {
                return Err(self.end("ledger", ApiError::internal(error)).into());
            }
        };
        if let Some(job) = self.job.take() {
            app.keeper.keep(&receipt, &Material { job: Some(job), tokens: closed.tokens, values });
        }
        let request = self.request_id.clone();
        self.reservation.settle(receipt.price_nc, charged.charged_nc);
        if let Some(Payer { consumer, named }) = self.payer
            && let Err(error) = app.attribution.paid(consumer, named, now_ms).await
        {
            // The consumer's next paid request tries again.
            tracing::warn!(%error, "who brought a consumer was not recorded");
        }
        let ack = Ack {
            worker: receipt.worker.to_vec().into(),
            receipt_hash: receipt.hash().to_vec().into(),
            gateway_signature: signed.gateway_signature.to_vec().into(),
        };
        // The answer does not wait for the worker to hear of it.
        let dispatch = app.dispatch.clone();
        app.tasks.spawn(async move { dispatch.acknowledge(ack).await });
        app.notary.wake();
        metrics::counter!("waybill_prompt_tokens_total").increment(receipt.units_in.into());
        metrics::counter!("waybill_generation_tokens_total").increment(receipt.units_out.into());
        metrics::histogram!("waybill_gateway_overhead_seconds").record(self.before + closed_at.elapsed());
        tracing::info!(%request, price_nc = receipt.price_nc, units_in = receipt.units_in, units_out = receipt.units_out, "charged");
        Ok(Settled { receipt })
    }

    /// A receipt that does not hold: no charge, a mark against the worker, and the consumer may try again.
    fn refuse(self, field: &'static str, why: &dyn std::fmt::Display) -> ApiError {
        metrics::counter!("waybill_usage_mismatch_total", "field" => field).increment(1);
        tracing::warn!(request = %self.request_id, worker = %self.worker, %why, "a worker's receipt was refused");
        self.end("receipt_refused", ApiError::from_fault(&Fault::new(FaultCode::Protocol, "receipt refused")))
    }

    fn failed(&self, fault: &Fault) -> ApiError {
        tracing::info!(request = %self.request_id, worker = %self.worker, %fault, "a worker failed");
        ApiError::from_fault(fault)
    }
}

/// Commits a charge, and waits a little where only time is missing: for a database that stumbles (the same charge is
/// idempotent), and for the receipt before this one in its line, which another request of this gateway is about to commit,
/// unless it is lost.
async fn commit(app: &App, worker: WorkerId, charge: Charge) -> Result<Charged, LedgerError> {
    let begun = Instant::now();
    let mut gap_seen = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = app.ledger.charge(charge.clone()).await;
        let is_final = match &outcome {
            Err(LedgerError::Database(error)) => {
                tracing::warn!(%error, "a charge was not committed, trying again");
                begun.elapsed() >= DATABASE_PATIENCE
            }
            Err(LedgerError::Discontinuous { seq, expected_seq, .. }) if seq > expected_seq => {
                let missing = gap_seen.get_or_insert_with(Instant::now).elapsed();
                if missing >= LINE_SUSPICION {
                    app.resyncs.ask(worker);
                }
                missing >= LINE_PATIENCE
            }
            _ => true,
        };
        if is_final {
            return outcome;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn refused_credit(error: CreditError) -> ApiError {
    match error {
        CreditError::NoChannel(_) | CreditError::Insufficient { .. } | CreditError::KeyLimit { .. } => {
            metrics::counter!("waybill_shed_total", "reason" => "credit").increment(1);
            let message =
                format!("You exceeded your current quota, please check your channel's balance and grant: {error}.");
            ApiError::new(Kind::InsufficientQuota, message)
        }
        CreditError::Contended
        | CreditError::Hub(_)
        | CreditError::Store(_)
        | CreditError::Ledger(_)
        | CreditError::Stopped => ApiError::unavailable(error),
    }
}
