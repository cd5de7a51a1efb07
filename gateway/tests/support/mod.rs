//! A whole gateway on a free port: a real store and ledger on a temporary SQLite file, a market in memory, and workers in
//! this process that sign real receipts with a real key and misbehave on request.
#![allow(clippy::unwrap_used, dead_code)]

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use waybill_gateway::keys::{self, KeyTerms};
use waybill_gateway::market::{ChannelView, Grant, Market, Model, ModelKind, Network, Node, Placement, Quote};
use waybill_gateway::routes::{Class, Member};
use waybill_gateway::{Gateway, GatewayConfig, GatewayDeps, Pepper, SecretKey};
use waybill_mechanism::amount;
use waybill_mechanism::message::{Order, Receipt, line_key};
use waybill_mechanism::routing::{PARTS, class_id};
use waybill_protocol::frame::{
    Ack, Closed, Event, EventKind, Fault, FaultCode, Finish, InputKind, Job, TextDelta, Vectors,
};
use waybill_protocol::{
    ArtifactId, ChannelId, ContainerId, Dispatch, DispatchError, Dispatched, RouteWish, WalletId, WorkerId, WorkerView,
    signing,
};
use waybill_store::{Hub, Ledger, LedgerConfig, LocalHub, Store};

pub const CHAT: &str = "smollm2-135m-instruct";
pub const EMBED: &str = "all-minilm-l6-v2";
pub const PRICE: u64 = 20_000;
pub const DOMAIN: [u8; 8] = [7; 8];
pub const EPOCH_S: u32 = 60;
pub const CHANNEL: ChannelId = ChannelId([0xc4; 32]);
pub const GRANT_NC: u64 = 1_000_000_000;
pub const DIMS: usize = 4;

pub fn now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A chain in memory.
pub struct FakeMarket {
    pub gateway: WalletId,
    pub channels: Mutex<HashMap<ChannelId, ChannelView>>,
    pub worker: WorkerId,
    pub healthy: AtomicBool,
    pub priced: AtomicBool,
    pub placements: Mutex<Vec<Placement>>,
    /// Prices of the containers of the class `auto/chat`; empty: there is no such class.
    pub class: Mutex<Vec<u64>>,
}

impl FakeMarket {
    fn model_of(&self, name: &str, kind: ModelKind, byte: u8) -> Model {
        let epoch = u32::try_from(now_ms() / 1000 / u64::from(EPOCH_S)).unwrap();
        let quote = Quote { per_1k: PRICE, pricing_epoch: amount::pricing_epoch(epoch), next_per_1k: Some(PRICE) };
        Model {
            name: name.into(),
            kind,
            container: ContainerId([byte; 32]),
            stage: 0,
            artifact: ArtifactId([byte + 1; 32]),
            quote: self.priced.load(Ordering::SeqCst).then_some(quote),
            context: Some(2048),
            created: 1_700_000_000,
            owned_by: "waybill".into(),
        }
    }

    /// The curator that every grant names from now on.
    pub fn set_referrer(&self, referrer: WalletId) {
        for view in self.channels.lock().unwrap().values_mut() {
            view.grant.as_mut().unwrap().referrer = referrer;
        }
    }

    pub fn set_grant(&self, limit_nc: u64) {
        for view in self.channels.lock().unwrap().values_mut() {
            view.grant.as_mut().unwrap().limit_nc = limit_nc;
        }
    }
}

impl Market for FakeMarket {
    fn network(&self) -> Network {
        Network { domain: DOMAIN, epoch_s: EPOCH_S }
    }
    fn model(&self, name: &str) -> Option<Model> {
        assert_ne!(name, "a-bug", "this model is a bug");
        self.models().into_iter().find(|model| model.name == name)
    }
    fn models(&self) -> Vec<Model> {
        vec![self.model_of(EMBED, ModelKind::Embedding, 0x20), self.model_of(CHAT, ModelKind::Chat, 0x10)]
    }
    fn class(&self, name: &str) -> Option<Class> {
        let prices = self.class.lock().unwrap().clone();
        let member = |(place, price): (u8, &u64)| {
            let mut model = self.model_of(&format!("chat-{place}"), ModelKind::Chat, 0x40 + 2 * place);
            let quote = model.quote.as_mut()?;
            (quote.per_1k, quote.next_per_1k) = (*price, Some(*price));
            Some(Member { model, share: PARTS / prices.len() as u64 })
        };
        let members: Vec<Member> = (0..).zip(&prices).filter_map(member).collect();
        (name == "auto/chat" && !members.is_empty()).then(|| Class { id: class_id(name), seed: [6; 32], members })
    }
    fn placements(&self) -> Vec<Placement> {
        self.placements.lock().unwrap().clone()
    }
    fn channel(&self, id: &ChannelId) -> Option<ChannelView> {
        self.channels.lock().unwrap().get(id).cloned()
    }
    fn node(&self, worker: &WorkerId) -> Option<Node> {
        (*worker == self.worker).then_some(Node { det_class: 1 })
    }
    fn rate(&self) -> u64 {
        1_000_000_000
    }
    fn now_ms(&self) -> u64 {
        now_ms()
    }
    fn healthy(&self) -> bool {
        self.healthy.load(Ordering::SeqCst)
    }
}

/// What the worker does with its next jobs.
#[derive(Clone)]
pub enum Conduct {
    Honest,
    /// Waits for a permit before each event.
    Gated(Arc<Semaphore>),
    /// Says these things instead of what an honest worker says.
    Garbage(Garbage),
    /// The link breaks after so many events.
    DiesAfter(usize),
    /// Never sends an event.
    Silent,
    Refuses(DispatchError),
    /// Its first event is this fault.
    Faults(FaultCode),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbage {
    BadSignature,
    TruncatedReceipt,
    OtherDomain,
    OtherGateway,
    OtherLine,
    OtherArtifact,
    OtherOrder,
    OtherOutput,
    TooManyUnits,
    NoUnits,
    DoublePrice,
    FarFuture,
    WrongEpoch,
    WrongFlags,
    SkippedSeq,
    WrongKindOfEvent,
    EmptyEvent,
    EndlessText,
    NoReceipt,
}

impl Garbage {
    pub const ALL: [Self; 19] = [
        Self::BadSignature,
        Self::TruncatedReceipt,
        Self::OtherDomain,
        Self::OtherGateway,
        Self::OtherLine,
        Self::OtherArtifact,
        Self::OtherOrder,
        Self::OtherOutput,
        Self::TooManyUnits,
        Self::NoUnits,
        Self::DoublePrice,
        Self::FarFuture,
        Self::WrongEpoch,
        Self::WrongFlags,
        Self::SkippedSeq,
        Self::WrongKindOfEvent,
        Self::EmptyEvent,
        Self::EndlessText,
        Self::NoReceipt,
    ];
}

/// Next `seq` and `cum_nc` so far, by epoch and line key.
type Lines = HashMap<(u32, [u8; 32]), (u32, u64)>;

/// Scheduler and worker in one: a key, its lines, and what it was told to do.
pub struct FakeWorkers {
    pub key: Keypair,
    pub conduct: Mutex<Conduct>,
    lines: Mutex<Lines>,
    pub acks: Mutex<Vec<Ack>>,
    /// Streams of events that exist: 0 once all work ended or was cancelled.
    pub open: Arc<AtomicUsize>,
    pub closed: Arc<Notify>,
    pub connected: AtomicBool,
    pub jobs: AtomicU64,
    store: Store,
    gateway: WalletId,
}

/// Counts an event stream while it lives.
struct Open(Arc<AtomicUsize>, Arc<Notify>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_waiters();
    }
}

impl FakeWorkers {
    fn new(store: Store, gateway: WalletId) -> Self {
        Self {
            store,
            gateway,
            key: Keypair::new(),
            conduct: Mutex::new(Conduct::Honest),
            lines: Mutex::default(),
            acks: Mutex::default(),
            open: Arc::default(),
            closed: Arc::default(),
            connected: AtomicBool::new(true),
            jobs: AtomicU64::new(0),
        }
    }

    pub fn id(&self) -> WorkerId {
        WorkerId(self.key.pubkey().to_bytes())
    }

    pub fn behave(&self, conduct: Conduct) {
        *self.conduct.lock().unwrap() = conduct;
    }

    /// Every line moves on by a receipt that reaches nobody.
    pub fn lose_receipts(&self) {
        for (seq, cum_nc) in self.lines.lock().unwrap().values_mut() {
            (*seq, *cum_nc) = (*seq + 1, *cum_nc + 1);
        }
    }

    /// As after a restart that nobody noticed.
    pub fn forget_lines(&self) {
        self.lines.lock().unwrap().clear();
    }

    /// Resolves when no event stream is open.
    pub async fn idle(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            closed.await;
        }
    }

    /// The honest answer to a job, receipt included; `garbage` bends it.
    fn answer(&self, job: &Job, garbage: Option<Garbage>) -> Vec<Event> {
        let mut events: Vec<EventKind> = Vec::new();
        let mut hasher = Sha256::new();
        let input = job.input.clone().unwrap();
        let (units_in, units_out, finish) = match input.kind.as_ref().unwrap() {
            InputKind::Chat(chat) => {
                let prompt: usize = chat.turns.iter().map(|turn| turn.content.len() + 8).sum();
                let said = "You said: ".to_owned() + &chat.turns.last().unwrap().content + " — ümlaut ✓";
                let words: Vec<String> = said.split_inclusive(' ').map(str::to_owned).collect();
                let kept: Vec<String> = words.iter().take(chat.max_tokens as usize).cloned().collect();
                for text in &kept {
                    hasher.update(text);
                    events.push(EventKind::Text(TextDelta { text: text.clone(), tokens: 1 }));
                }
                let finish = if kept.len() < words.len() { Finish::Length } else { Finish::Stop };
                (u32::try_from(prompt).unwrap(), u32::try_from(kept.len()).unwrap(), finish)
            }
            InputKind::Embed(embed) => {
                let mut units = 0;
                for item in &embed.items {
                    units += item.text.len().max(item.tokens.len()) + 2;
                    let sum: u32 = item.text.bytes().map(u32::from).chain(item.tokens.iter().copied()).sum();
                    let row: Vec<u8> =
                        (0..DIMS).flat_map(|d| ((sum as f32) / (d as f32 + 1.5)).to_le_bytes()).collect();
                    hasher.update(&row);
                    events.push(EventKind::Vectors(Vectors { dims: DIMS as u32, values: row.into() }));
                }
                (u32::try_from(units).unwrap(), 0, Finish::Stop)
            }
        };
        let order = Order::from_bytes(&job.order).unwrap();
        let end_ms = now_ms();
        let epoch = u32::try_from(end_ms / 1000 / u64::from(EPOCH_S)).unwrap();
        let container: [u8; 32] = job.container[..].try_into().unwrap();
        let referrer: [u8; 32] = job.referrer[..].try_into().unwrap();
        let key = line_key(&container, job.stage as u8, &self.id().0, &referrer);
        let price_nc = amount::price_nc(u64::from(units_in) + u64::from(units_out), job.price_per_1k).unwrap();
        let (seq, cum) = self.lines.lock().unwrap().get(&(epoch, key)).copied().unwrap_or_default();
        let mut receipt = Receipt {
            flags: job.flags as u8,
            det_class: 1,
            domain: order.domain,
            epoch,
            seq,
            gateway: job.gateway[..].try_into().unwrap(),
            worker: self.id().0,
            line_key: key,
            artifact: job.artifact[..].try_into().unwrap(),
            request_hash: order.hash(),
            input_hash: input.hash(),
            output_hash: hasher.finalize().into(),
            evidence_hash: [0; 32],
            units_in,
            units_out,
            price_nc,
            cum_nc: cum + price_nc,
            t_start_ms: end_ms,
            t_end_ms: end_ms,
        };
        match garbage {
            Some(Garbage::OtherDomain) => receipt.domain = [0; 8],
            Some(Garbage::OtherGateway) => receipt.gateway = [1; 32],
            Some(Garbage::OtherLine) => receipt.line_key = [1; 32],
            Some(Garbage::OtherArtifact) => receipt.artifact = [1; 32],
            Some(Garbage::OtherOrder) => receipt.request_hash = [1; 32],
            Some(Garbage::OtherOutput) => receipt.output_hash = [1; 32],
            Some(Garbage::TooManyUnits) => receipt.units_out = 1_000_000,
            Some(Garbage::NoUnits) => receipt.units_in = 0,
            Some(Garbage::DoublePrice) => (receipt.price_nc, receipt.cum_nc) = (price_nc * 2, cum + price_nc * 2),
            Some(Garbage::FarFuture) => receipt.t_end_ms += 3_600_000,
            Some(Garbage::WrongEpoch) => receipt.epoch += 1,
            Some(Garbage::WrongFlags) => receipt.flags = 0,
            Some(Garbage::SkippedSeq) => receipt.cum_nc += 1,
            Some(Garbage::WrongKindOfEvent) => events.push(match input.kind.as_ref().unwrap() {
                InputKind::Chat(_) => EventKind::Vectors(Vectors::default()),
                InputKind::Embed(_) => EventKind::Text(TextDelta::default()),
            }),
            Some(Garbage::EndlessText) => events.push(match input.kind.as_ref().unwrap() {
                InputKind::Chat(_) => EventKind::Text(TextDelta { text: "x".repeat(4 << 20), tokens: 1 }),
                InputKind::Embed(_) => EventKind::Vectors(Vectors { dims: 4, values: vec![0; 4 << 20].into() }),
            }),
            None => {
                self.lines.lock().unwrap().insert((epoch, key), (seq + 1, cum + price_nc));
            }
            _ => {}
        }
        let bytes = receipt.to_bytes();
        let mut signature = signing::sign(&self.key, &bytes);
        if garbage == Some(Garbage::BadSignature) {
            signature[0] ^= 1;
        }
        let receipt_bytes =
            if garbage == Some(Garbage::TruncatedReceipt) { bytes[..319].to_vec() } else { bytes.to_vec() };
        let closed = Closed {
            finish: finish.into(),
            receipt: receipt_bytes.into(),
            worker_signature: signature.to_vec().into(),
            device: "cpu".into(),
            queue_ms: 0,
            first_token_ms: 1,
            tokens: Vec::new(),
        };
        let mut events: Vec<Event> = events.into_iter().map(Event::from).collect();
        match garbage {
            Some(Garbage::EmptyEvent) => events.push(Event { kind: None }),
            Some(Garbage::NoReceipt) => return events,
            _ => {}
        }
        events.push(EventKind::Closed(closed).into());
        events
    }
}

#[async_trait]
impl Dispatch for FakeWorkers {
    async fn dispatch(&self, job: Job, wish: RouteWish) -> Result<Dispatched, DispatchError> {
        self.jobs.fetch_add(1, Ordering::SeqCst);
        assert!(
            signing::verify(&job.gateway[..].try_into().unwrap(), &job.order, &job.order_signature),
            "the order is signed"
        );
        if wish.regions.iter().any(|region| region != "eu") {
            return Err(DispatchError::NoWorker("region excludes 1 of 1".into()));
        }
        let conduct = self.conduct.lock().unwrap().clone();
        let events: Vec<Result<Event, Fault>> = match &conduct {
            Conduct::Refuses(error) => return Err(error.clone()),
            Conduct::Faults(code) => vec![Ok(EventKind::Fault(Fault::new(*code, "as told")).into())],
            Conduct::Silent => return std::future::pending().await,
            Conduct::Honest | Conduct::Gated(_) => self.answer(&job, None).into_iter().map(Ok).collect(),
            Conduct::Garbage(garbage) => self.answer(&job, Some(*garbage)).into_iter().map(Ok).collect(),
            Conduct::DiesAfter(events) => {
                let mut some: Vec<Result<Event, Fault>> =
                    self.answer(&job, Some(Garbage::NoReceipt)).into_iter().take(*events).map(Ok).collect();
                some.push(Err(Fault::new(FaultCode::Lost, "the link broke")));
                some
            }
        };
        let gate = match conduct {
            Conduct::Gated(gate) => Some(gate),
            _ => None,
        };
        self.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.open.clone(), self.closed.clone());
        let events = stream::iter(events).then(move |event| {
            let gate = gate.clone();
            let _keep = &open;
            async move {
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                event
            }
        });
        Ok(Dispatched { worker: self.id(), region: "eu".into(), attempts: 1, events: events.boxed() })
    }

    async fn acknowledge(&self, ack: Ack) {
        self.acks.lock().unwrap().push(ack);
    }

    async fn resync(&self, worker: WorkerId) {
        let current = u32::try_from(now_ms() / 1000 / u64::from(EPOCH_S)).unwrap();
        let mut stored = Lines::new();
        for epoch in current - 1..=current + 1 {
            let lines = self.store.lines(self.gateway, epoch, Some(worker)).await.unwrap();
            stored.extend(lines.iter().map(|line| ((epoch, line.line_key), (line.next_seq as u32, line.cum_nc))));
        }
        *self.lines.lock().unwrap() = stored;
    }

    async fn workers(&self) -> Result<Vec<WorkerView>, DispatchError> {
        if !self.connected.load(Ordering::SeqCst) {
            return Ok(Vec::new());
        }
        Ok(vec![WorkerView {
            worker: self.id(),
            region: "eu".into(),
            class: 0,
            artifacts: vec![ArtifactId([0x11; 32]), ArtifactId([0x21; 32])],
            rtt_ms: 1.0,
            active: 0,
            free_slots: 4,
            draining: false,
        }])
    }
}

pub struct Harness {
    pub gateway: Gateway,
    pub address: SocketAddr,
    pub url: String,
    pub api_key: String,
    pub key: Arc<Keypair>,
    pub workers: Arc<FakeWorkers>,
    pub market: Arc<FakeMarket>,
    pub store: Store,
    pub hub: LocalHub,
    pub shutdown: CancellationToken,
    pub http: reqwest::Client,
    pub pepper: Pepper,
    ledger_stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Harness {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(adjust: impl FnOnce(&mut GatewayConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", dir.path().join("gateway.db").display());
        let store = Store::open(&url).await.unwrap();
        let key = Arc::new(Keypair::new());
        let wallet = WalletId(key.pubkey().to_bytes());
        let workers = Arc::new(FakeWorkers::new(store.clone(), wallet));
        let now_s = (now_ms() / 1000) as i64;
        let grant = Grant {
            limit_nc: GRANT_NC,
            period_s: 86_400,
            expires: now_s + 86_400,
            referrer: WalletId([0x0c; 32]),
            period_start: now_s - 10,
            used_nc: 0,
        };
        let view = ChannelView {
            consumer: WalletId([0x0d; 32]),
            gateway: wallet,
            balance_aic: 100 * GRANT_NC,
            settled_nc: 0,
            grant: Some(grant),
            closing: false,
        };
        let market = Arc::new(FakeMarket {
            gateway: wallet,
            channels: Mutex::new(HashMap::from([(CHANNEL, view)])),
            worker: workers.id(),
            healthy: AtomicBool::new(true),
            priced: AtomicBool::new(true),
            placements: Mutex::default(),
            class: Mutex::default(),
        });
        let ledger_stop = CancellationToken::new();
        let (ledger, _task) = Ledger::start(store.clone(), LedgerConfig::new(wallet, "test"), ledger_stop.clone());
        let pepper = Pepper::new([3; 32]);
        let terms = KeyTerms { channel: CHANNEL, label: "test".into(), limit_nc: None };
        let secret = keys::create(&store, &pepper, terms, now_ms()).await.unwrap();
        let hub = LocalHub::new("test");
        let mut config = GatewayConfig::new("127.0.0.1:0".parse().unwrap(), key.clone(), pepper.clone(), "test");
        config.times.drain_notice = Duration::ZERO;
        adjust(&mut config);
        let deps = GatewayDeps {
            store: store.clone(),
            ledger,
            hub: Arc::new(hub.clone()),
            market: market.clone(),
            dispatch: workers.clone(),
        };
        let shutdown = CancellationToken::new();
        let gateway = Gateway::start(config, deps, shutdown.clone()).await.unwrap();
        let address = gateway.address();
        Self {
            address,
            url: format!("http://{address}"),
            api_key: secret.reveal(),
            key,
            workers,
            market,
            store,
            hub,
            shutdown,
            http: reqwest::Client::new(),
            pepper,
            ledger_stop,
            gateway,
            _dir: dir,
        }
    }

    /// The next process of this gateway on the same database, the first one having crashed.
    pub async fn successor(&self, sole: bool, shutdown: CancellationToken) -> Gateway {
        let wallet = self.market.gateway;
        let (ledger, _task) =
            Ledger::start(self.store.clone(), LedgerConfig::new(wallet, "successor"), self.ledger_stop.clone());
        let local = "127.0.0.1:0".parse().unwrap();
        let mut config = GatewayConfig::new(local, self.key.clone(), self.pepper.clone(), "successor");
        config.times.drain_notice = Duration::ZERO;
        config.sole = sole;
        let deps = GatewayDeps {
            store: self.store.clone(),
            ledger,
            hub: Arc::new(LocalHub::new("successor")),
            market: self.market.clone(),
            dispatch: self.workers.clone(),
        };
        Gateway::start(config, deps, shutdown).await.unwrap()
    }

    /// Another key of the same channel.
    pub async fn new_key(&self, limit_nc: Option<u64>) -> SecretKey {
        let terms = KeyTerms { channel: CHANNEL, label: "another".into(), limit_nc };
        keys::create(&self.store, &self.pepper, terms, now_ms()).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &serde_json::Value) -> reqwest::Response {
        self.post_raw(path, serde_json::to_vec(body).unwrap()).await
    }

    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
        self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.api_key).body(body).send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.api_key).send().await.unwrap()
    }

    /// Lets the chat model hold a promotion slot. Returns it.
    pub fn promote(&self, position: u8) -> Placement {
        let placement = Placement {
            position,
            payer: WalletId([0x0a; 32]),
            container: ContainerId([0x10; 32]),
            auction: WalletId([0x0b; 32]),
        };
        self.market.placements.lock().unwrap().push(placement);
        placement
    }

    /// What the database says the channel was charged.
    pub async fn charged_nc(&self) -> u64 {
        self.store.channel(CHANNEL).await.unwrap().map_or(0, |row| row.charged_nc)
    }

    /// Stops the gateway; what it held at the hub must be back.
    pub async fn stop(self) -> LocalHub {
        self.shutdown.cancel();
        self.gateway.stopped().await;
        assert_eq!(self.hub.outstanding(&format!("credit:{CHANNEL}")).await.unwrap(), 0, "all credit went back");
        self.ledger_stop.cancel();
        self.hub
    }
}
