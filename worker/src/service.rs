//! The worker without its link: takes jobs, checks who pays, runs them, signs receipts.

use bytes::Bytes;
use futures_util::{Stream, stream};
use sha2::{Digest, Sha256};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, Semaphore, oneshot};
use waybill_mechanism::{
    amount,
    message::{Receipt, flags, inference_seed, line_key},
};
use waybill_protocol::{
    ChannelId, WalletId, WorkerId,
    audit::{AuditJob, EvidenceRecord, EvidenceRequest, Verdict},
    frame::{
        Ack, Challenge, Chat, Closed, Event, EventKind, Fault, FaultCode, Finish, Hello, InputKind, Job, Report,
        TextDelta, Turn, Vectors, Welcome,
    },
};

use crate::{
    WorkerDeps,
    archive::Archive,
    audit::{self, Rules},
    chat::{ChatDone, ChatEvent, ChatRequest, Evidence, Generation, Message, Sampling, internal},
    embed::Embedded,
    engines::{Engine, Engines},
    funding::{Funding, FundingError, Reservation, Tabs},
    offers::Gate,
    order::{self, Ordered},
    receipt::{Price, ReceiptBook, Work, sha256},
    slot::Slot,
};

/// What runs the models; receipts and reports name it.
const DEVICE: &str = "cpu";
/// Prices move once per pricing epoch; who is refused for the price need not ask again at once.
const BELOW_FLOOR_MS: u32 = 30_000;

/// How a worker presents itself and what it accepts.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Where it stands, at most 12 ASCII letters, digits and dashes.
    pub region: String,
    /// 0 home, 1 edge, 2 datacenter.
    pub class: u16,
    /// Determinism class of this machine, as its key is delegated; receipts name it.
    pub det_class: u16,
    /// Jobs at the same time.
    pub slots: usize,
    /// Only these gateways' orders; absent means any gateway whose channel is funded.
    pub allowed_gateways: Option<Vec<WalletId>>,
}

/// One worker key's service over loaded models.
pub struct Worker {
    profile: Profile,
    book: ReceiptBook,
    engines: Arc<Engines>,
    funding: Arc<dyn Funding>,
    /// Where the evidence behind receipts is kept; without one it cannot answer an audit of its own work.
    archive: Option<Arc<Archive>>,
    gate: Arc<Gate>,
    rules: Option<Arc<dyn Rules>>,
    tabs: Tabs,
    slots: Arc<Semaphore>,
    /// Audits are unpaid by the job and slow: one at a time.
    audits: Semaphore,
    received: AtomicU64,
    reports: AtomicU64,
    draining: AtomicBool,
    /// A slot was taken or freed.
    load_changed: Arc<Notify>,
}

impl Worker {
    pub fn new(profile: Profile, book: ReceiptBook, engines: Arc<Engines>, funding: Arc<dyn Funding>) -> Arc<Self> {
        Self::assemble(profile, book, WorkerDeps { engines, funding, gate: Arc::default(), rules: None }, None)
    }

    /// A worker with all its parts; `archive` keeps the evidence behind its receipts.
    pub fn assemble(profile: Profile, book: ReceiptBook, deps: WorkerDeps, archive: Option<Arc<Archive>>) -> Arc<Self> {
        let WorkerDeps { engines, funding, gate, rules } = deps;
        // The scheduler fills the offered slots; as many again are taken in here, because it learns of a job's end
        // before the slot is free.
        let slots = Arc::new(Semaphore::new(2 * profile.slots));
        Arc::new(Self {
            profile,
            book,
            engines,
            funding,
            archive,
            gate,
            rules,
            tabs: Tabs::default(),
            slots,
            audits: Semaphore::new(1),
            received: AtomicU64::new(0),
            reports: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            load_changed: Arc::default(),
        })
    }

    pub fn id(&self) -> WorkerId {
        self.book.worker()
    }

    /// Answers a session's challenge; `None` when it comes from another network.
    pub fn hello(&self, challenge: &Challenge) -> Option<Hello> {
        (challenge.domain[..] == self.book.domain()).then(|| Hello {
            worker: self.id().0.to_vec().into(),
            signature: self.book.sign_hello(&challenge.nonce).to_vec().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            region: self.profile.region.clone(),
            class: self.profile.class.into(),
            slots: self.profile.slots as u32,
            models: self.engines.offers(self.profile.det_class),
        })
    }

    /// Sets the lines to what is countersigned; within a session only those that are broken.
    pub fn welcome(&self, welcome: &Welcome) {
        if welcome.resync {
            let broken = self.book.resync(&welcome.lines, now_ms());
            tracing::info!(broken, "lines were set back to what is countersigned");
            return;
        }
        let waiting = self.book.waiting();
        if waiting > 0 {
            tracing::info!(waiting, "receipts without countersignature are void");
        }
        self.book.welcome(&welcome.lines);
    }

    pub fn acknowledge(&self, ack: &Ack) {
        if let Err(error) = self.book.acknowledge(ack) {
            tracing::warn!(%error, "an acknowledgement is refused");
        }
    }

    /// Whether some gateway is refused for missing countersignatures, which a new session's welcome would clear up.
    pub fn needs_welcome(&self) -> bool {
        self.book.distrusts_any(now_ms())
    }

    /// Receipts that wait for a countersignature.
    pub fn receipts_waiting(&self) -> usize {
        self.book.waiting()
    }

    /// The load now.
    pub fn report(&self) -> Report {
        let active = (2 * self.profile.slots).saturating_sub(self.slots.available_permits());
        let free = self.profile.slots.saturating_sub(active);
        let speeds = self.engines.iter().map(Engine::speed);
        let (prefill_tps, decode_tps) =
            speeds.fold((0f32, 0f32), |best, speed| if speed.1 >= best.1 { speed } else { best });
        Report {
            seq: self.reports.fetch_add(1, Relaxed) + 1,
            received_jobs: self.received.load(Relaxed),
            queued_tokens: self.engines.queued_tokens(),
            active: active as u32,
            free_slots: if self.draining.load(Relaxed) || self.gate.is_shut() { 0 } else { free as u32 },
            prefill_tps,
            decode_tps,
            draining: self.draining.load(Relaxed),
        }
    }

    /// Resolves at the next change of load.
    pub async fn load_change(&self) {
        self.load_changed.notified().await;
    }

    /// Refuses new jobs and waits until the present ones have ended, at most for `limit`.
    pub async fn drain(&self, limit: Duration) {
        self.draining.store(true, Relaxed);
        self.load_changed.notify_one();
        let all = u32::try_from(self.profile.slots).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(limit, self.slots.acquire_many(all)).await;
    }

    /// Re-executes another worker's receipt and signs what came out.
    pub async fn audit(&self, job: &AuditJob) -> Result<Verdict, Fault> {
        if self.draining.load(Relaxed) {
            return Err(busy("the worker is leaving"));
        }
        if job.chair.is_some() {
            let no_chain = || Fault::new(FaultCode::BadInput, "this worker reads no chain and signs for no chair");
            audit::require_rule(self.rules.as_deref().ok_or_else(no_chain)?, job)?;
        }
        let _only = self.audits.try_acquire().map_err(|_| busy("another audit is under way"))?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| busy("every slot is taken"))?;
        let slot = Slot::new(slot, self.load_changed.clone());
        let domain = self.book.domain();
        let (receipt, finding) = audit::audit(&self.engines, domain, job, Some(slot)).await?;
        if receipt.worker == self.id().0 {
            return Err(Fault::new(FaultCode::BadInput, "nobody audits himself"));
        }
        let mut verdict = finding.into_verdict(self.id().0, &receipt);
        self.book.sign_verdict(&mut verdict, job.chair.as_ref());
        Ok(verdict)
    }

    /// The evidence behind one of this worker's own receipts; `None` for any other, and for one that is not kept.
    pub fn evidence(&self, request: &EvidenceRequest) -> Option<EvidenceRecord> {
        let receipt = Receipt::from_bytes(&request.receipt).ok().filter(|receipt| receipt.worker == self.id().0)?;
        let found = self.archive.as_ref()?.find(&receipt);
        let evidence = found.inspect_err(|error| tracing::warn!(%error, "evidence cannot be read")).ok()??;
        Some(EvidenceRecord { record: evidence.as_bytes().to_vec().into() })
    }

    /// Runs one job. Faults come as the last event; dropping the stream cancels the work.
    pub fn run_job(self: &Arc<Self>, job: Job) -> impl Stream<Item = Event> + Send + use<> {
        self.received.fetch_add(1, Relaxed);
        let start = Phase::Start(Box::new(job));
        stream::unfold((self.clone(), start), |(worker, phase)| async move {
            let (event, next) = worker.advance(phase).await?;
            Some((event, (worker, next)))
        })
    }

    /// The next event and what comes after it.
    async fn advance(&self, phase: Phase) -> Option<(Event, Phase)> {
        let result = match phase {
            Phase::Start(job) => match self.start(*job).await {
                Ok(Started::Chat(run)) => self.continue_chat(run).await,
                Ok(Started::Embed(run)) => self.finish_embed(run).await,
                Err(fault) => Err(fault),
            },
            Phase::Chat(run) => self.continue_chat(run).await,
            Phase::Embedded { account, queue_ms, done_ms } => self
                .close(*account, Finish::Stop, queue_ms, done_ms, None)
                .map(|closed| (EventKind::Closed(closed), Phase::End)),
            Phase::End => return None,
        };
        let (event, next) = result.unwrap_or_else(|fault| (EventKind::Fault(fault), Phase::End));
        Some((event.into(), next))
    }

    /// Everything that can refuse a job, then its submission to the engine.
    async fn start(&self, job: Job) -> Result<Started, Fault> {
        let started_ms = now_ms();
        let deadline = (job.deadline_ms > 0).then(|| Instant::now() + Duration::from_millis(job.deadline_ms.into()));
        if self.draining.load(Relaxed) {
            return Err(busy("the worker is leaving"));
        }
        if self.gate.is_shut() {
            let why = "the market's base price is below this worker's floor";
            return Err(Fault { retry_after_ms: Some(BELOW_FLOOR_MS), ..busy(why) });
        }
        let ordered = order::check(&job, self.book.domain(), self.profile.allowed_gateways.as_deref())?;
        if !self.book.trusts(&ordered.gateway, started_ms) {
            return Err(busy("the gateway owes countersignatures"));
        }
        let engine = self.engines.get(&ordered.artifact);
        let engine = engine.ok_or_else(|| Fault::new(FaultCode::UnknownModel, ordered.artifact.to_string()))?;
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| busy("every slot is taken"))?;
        let slot = Slot::new(slot, self.load_changed.clone());
        let reservation = self.reserve(&ordered).await?;
        let price =
            Price { per_1k: job.price_per_1k, pricing_epoch: job.pricing_epoch, next_per_1k: job.next_price_per_1k };
        let affordable = affordable_units(ordered.order.max_price_nc, price.per_1k);
        let account = |units_in: usize| -> Result<Account, Fault> {
            let units_in = u32::try_from(units_in).map_err(internal)?;
            if u64::from(units_in) > affordable {
                return Err(Fault::new(
                    FaultCode::Unfunded,
                    format!("the order pays for {affordable} units, the input has {units_in}"),
                ));
            }
            let line = line_key(&ordered.container.0, ordered.stage, &self.id().0, &ordered.referrer.0);
            let work = Work {
                flags: job.flags as u8 & (flags::STREAMED | flags::SPONSORED) | flags::DELEGATED,
                det_class: self.profile.det_class,
                gateway: ordered.gateway.0,
                line_key: line,
                artifact: ordered.artifact.0,
                request_hash: ordered.request_hash,
                input_hash: ordered.input_hash,
                output_hash: [0; 32],
                evidence_hash: [0; 32],
                units_in,
                units_out: 0,
                price,
                max_price_nc: ordered.order.max_price_nc,
                started_ms,
            };
            Ok(Account { work, reservation, private: job.private })
        };
        match (&ordered.input.kind, engine) {
            (Some(InputKind::Chat(chat)), Engine::Chat(engine)) => {
                let messages: Vec<Message> = chat.turns.iter().map(message).collect();
                let prompt = engine.prompt(&messages)?;
                let account = account(prompt.len())?;
                let room = affordable - prompt.len() as u64;
                if room == 0 {
                    return Err(Fault::new(FaultCode::Unfunded, "the order pays for the input alone"));
                }
                let request = ChatRequest {
                    max_tokens: chat.max_tokens.min(u32::try_from(room).unwrap_or(u32::MAX)),
                    sampling: sampling(chat, &ordered.request_hash)?,
                    stop: chat.stop.clone(),
                    deadline,
                    prompt,
                };
                let generation = engine.generate(request, Some(slot))?;
                Ok(Started::Chat(Box::new(ChatRun { account, generation, text: Sha256::new() })))
            }
            (Some(InputKind::Embed(embed)), Engine::Embed(engine)) => {
                let rows = engine.rows(&embed.items)?;
                let account = account(rows.iter().map(Vec::len).sum())?;
                let result = engine.embed(rows, deadline, Some(slot))?;
                Ok(Started::Embed(Box::new(EmbedRun { account, result })))
            }
            _ => Err(Fault::new(FaultCode::BadInput, "the model does not take this kind of input")),
        }
    }

    async fn reserve(&self, ordered: &Ordered) -> Result<Reservation, Fault> {
        let channel = ChannelId(ordered.order.channel);
        let funds = self.funding.channel(&channel).await.map_err(|error| match error {
            FundingError::Unknown => Fault::new(FaultCode::Unfunded, error.to_string()),
            FundingError::Unavailable(_) => internal(error),
        })?;
        self.tabs
            .reserve(channel, ordered.order.nonce, ordered.order.max_price_nc, &ordered.gateway, &funds)
            .map_err(|unbacked| Fault::new(FaultCode::Unfunded, unbacked.to_string()))
    }

    async fn continue_chat(&self, mut run: Box<ChatRun>) -> Result<(EventKind, Phase), Fault> {
        match run.generation.next().await {
            Some(ChatEvent::Text { text, tokens }) => {
                run.text.update(text.as_bytes());
                Ok((EventKind::Text(TextDelta { text, tokens }), Phase::Chat(run)))
            }
            Some(ChatEvent::Done(ChatDone { finish, tokens, evidence, queue_ms, first_token_ms, .. })) => {
                let ChatRun { account, text, .. } = *run;
                let work = Work {
                    output_hash: text.finalize().into(),
                    evidence_hash: evidence.hash(),
                    units_out: tokens,
                    ..account.work
                };
                let account = Account { work, ..account };
                let closed = self.close(account, finish, queue_ms, first_token_ms, Some(evidence))?;
                Ok((EventKind::Closed(closed), Phase::End))
            }
            Some(ChatEvent::Failed(fault)) => Err(fault),
            None => Err(internal("the engine stopped")),
        }
    }

    async fn finish_embed(&self, run: Box<EmbedRun>) -> Result<(EventKind, Phase), Fault> {
        let EmbedRun { account, result } = *run;
        let Embedded { dims, values, queue_ms, done_ms } = result.await.map_err(internal)??;
        let values: Bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into();
        let hash = sha256(&values);
        let work = Work { output_hash: hash, evidence_hash: hash, ..account.work };
        let next = Phase::Embedded { account: Box::new(Account { work, ..account }), queue_ms, done_ms };
        Ok((EventKind::Vectors(Vectors { dims, values }), next))
    }

    fn close(
        &self,
        account: Account,
        finish: Finish,
        queue_ms: u32,
        first_token_ms: u32,
        evidence: Option<Evidence>,
    ) -> Result<Closed, Fault> {
        let signed = self.book.close(&account.work, now_ms()).map_err(internal)?;
        account.reservation.served(signed.receipt.price_nc);
        let evidence = evidence.filter(|_| !account.private);
        if let (Some(archive), Some(evidence)) = (&self.archive, &evidence) {
            // Before the receipt leaves, so that no receipt is out whose evidence is not kept.
            if let Err(error) = archive.keep(&signed.receipt, evidence) {
                tracing::error!(%error, "evidence is not kept: an audit of this receipt cannot be answered");
            }
        }
        Ok(Closed {
            finish: finish.into(),
            receipt: signed.receipt.to_bytes().to_vec().into(),
            worker_signature: signed.signature.to_vec().into(),
            device: DEVICE.into(),
            queue_ms,
            first_token_ms,
            tokens: evidence.map_or_else(Vec::new, |evidence| evidence.tokens()),
        })
    }
}

enum Phase {
    Start(Box<Job>),
    Chat(Box<ChatRun>),
    /// The vectors left; the receipt is signed only now, when the stream asks for it.
    Embedded {
        account: Box<Account>,
        queue_ms: u32,
        done_ms: u32,
    },
    End,
}

enum Started {
    Chat(Box<ChatRun>),
    Embed(Box<EmbedRun>),
}

/// The work so far and its place on the channel's tab.
struct Account {
    work: Work,
    reservation: Reservation,
    /// Nobody keeps what was said.
    private: bool,
}

struct ChatRun {
    account: Account,
    generation: Generation,
    text: Sha256,
}

struct EmbedRun {
    account: Account,
    result: oneshot::Receiver<Result<Embedded, Fault>>,
}

/// Most units that cost no more than `max_price_nc`.
pub(crate) fn affordable_units(max_price_nc: u64, per_1k: u64) -> u64 {
    if per_1k == 0 { u64::MAX } else { amount::mul_div_floor(max_price_nc, 1_000, per_1k).unwrap_or(u64::MAX) }
}

pub(crate) fn message(turn: &Turn) -> Message {
    Message { role: turn.role.clone(), content: turn.content.clone() }
}

pub(crate) fn sampling(chat: &Chat, request_hash: &[u8; 32]) -> Result<Sampling, Fault> {
    let bounded = |name: &str, value: f32, low: f32, high: f32| {
        let fault = || Fault::new(FaultCode::BadInput, format!("{name} must be between {low} and {high}"));
        if (low..=high).contains(&value) { Ok(value) } else { Err(fault()) }
    };
    let seed = chat.seed.map_or_else(
        || inference_seed(request_hash),
        |seed| {
            let mut padded = [0; 32];
            padded[..8].copy_from_slice(&seed.to_le_bytes());
            inference_seed(&padded)
        },
    );
    Ok(Sampling {
        temperature: bounded("temperature", chat.temperature.unwrap_or(1.0), 0.0, 2.0)?,
        top_p: bounded("top_p", chat.top_p.unwrap_or(1.0), 0.0, 1.0)?,
        frequency_penalty: bounded("frequency_penalty", chat.frequency_penalty, -2.0, 2.0)?,
        presence_penalty: bounded("presence_penalty", chat.presence_penalty, -2.0, 2.0)?,
        seed,
    })
}

fn busy(why: &str) -> Fault {
    Fault { retry_after_ms: Some(1_000), ..Fault::new(FaultCode::Busy, why) }
}

/// Unix milliseconds.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
