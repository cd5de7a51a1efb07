//! Gateway, scheduler, store and ledger as `waybill up` runs them, before a null worker; only the chain is a constant.

use crate::null_worker::{DET_CLASS, NullWorker, now_ms};
use anyhow::{Context, Result};
use async_trait::async_trait;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use waybill_gateway::{
    Gateway, GatewayConfig, GatewayDeps, Pepper,
    keys::{self, KeyTerms},
    market::{ChannelView, Grant, Market, Model, ModelKind, Network as Terms, Node, Quote},
};
use waybill_mechanism::{
    amount,
    message::{Order, ctx_hash, flags},
};
use waybill_protocol::{
    ArtifactId, ChannelId, ContainerId, WalletId, WorkerId,
    frame::{Chat, Input, InputKind, Job, LineState, Turn},
    signing,
};
use waybill_scheduler::{LineStates, NodeView, Registry, Running, SchedulerConfig, SchedulerDeps};
use waybill_store::{Ledger, LedgerConfig, LocalHub, Store};

pub const MODEL: &str = "null";
const DOMAIN: [u8; 8] = *b"benchnet";
/// Seconds, as on a local network.
const EPOCH_S: u32 = 60;
const ARTIFACT: ArtifactId = ArtifactId([0xa7; 32]);
const CONTAINER: ContainerId = ContainerId([0xc0; 32]);
const CHANNEL: ChannelId = ChannelId([0xc4; 32]);
/// Nano-credits per 1,000 units.
const PRICE: u64 = 20_000;
/// More than any run here can spend.
const PLENTY_NC: u64 = 1_000_000_000_000_000;

pub fn null_worker() -> Arc<NullWorker> {
    NullWorker::new(ARTIFACT, DOMAIN, EPOCH_S)
}

/// The job that the gateway makes of the benchmark's request, for calling a worker directly.
pub fn direct_job(prompt: &str, max_tokens: u32) -> Job {
    let gateway = Keypair::new();
    let turns = vec![Turn { role: "user".into(), content: prompt.into() }];
    let input = Input { kind: Some(InputKind::Chat(Chat { turns, max_tokens, ..Chat::default() })) };
    let max_price_nc = 1_000_000;
    let ctx_hash = ctx_hash(&CONTAINER.0, &input.hash(), max_price_nc, &WalletId::NONE.0, None);
    let order = Order { domain: DOMAIN, channel: CHANNEL.0, nonce: 1, max_price_nc, ctx_hash }.to_bytes();
    let quote = quote();
    Job {
        request_id: "req-direct".into(),
        order_signature: signing::sign(&gateway, &order).to_vec().into(),
        order: order.to_vec().into(),
        gateway: gateway.pubkey().to_bytes().to_vec().into(),
        container: CONTAINER.0.to_vec().into(),
        stage: 0,
        artifact: ARTIFACT.0.to_vec().into(),
        referrer: WalletId::NONE.0.to_vec().into(),
        price_per_1k: quote.per_1k,
        pricing_epoch: quote.pricing_epoch,
        next_price_per_1k: quote.next_per_1k,
        deadline_ms: 60_000,
        flags: flags::DELEGATED.into(),
        input: Some(input),
        slot: Default::default(),
        private: false,
        class: bytes::Bytes::new(),
    }
}

fn epoch() -> u32 {
    u32::try_from(now_ms() / 1_000 / u64::from(EPOCH_S)).unwrap_or(u32::MAX)
}

fn quote() -> Quote {
    Quote { per_1k: PRICE, pricing_epoch: amount::pricing_epoch(epoch()), next_per_1k: Some(PRICE) }
}

/// One model, one channel with plenty of credit, one worker.
struct FixedMarket {
    gateway: WalletId,
    worker: WorkerId,
}

impl FixedMarket {
    fn the_model(&self) -> Model {
        Model {
            name: MODEL.into(),
            kind: ModelKind::Chat,
            container: CONTAINER,
            stage: 0,
            artifact: ARTIFACT,
            quote: Some(quote()),
            context: Some(2_048),
            created: 0,
            owned_by: "bench".into(),
        }
    }
}

impl Market for FixedMarket {
    fn network(&self) -> Terms {
        Terms { domain: DOMAIN, epoch_s: EPOCH_S }
    }

    fn model(&self, name: &str) -> Option<Model> {
        (name == MODEL).then(|| self.the_model())
    }

    fn models(&self) -> Vec<Model> {
        vec![self.the_model()]
    }

    fn channel(&self, id: &ChannelId) -> Option<ChannelView> {
        let grant = Grant {
            limit_nc: PLENTY_NC,
            period_s: u32::MAX,
            expires: i64::MAX,
            referrer: WalletId::NONE,
            period_start: 0,
            used_nc: 0,
        };
        (*id == CHANNEL).then_some(ChannelView {
            consumer: WalletId([0x0d; 32]),
            gateway: self.gateway,
            balance_aic: 10 * PLENTY_NC,
            settled_nc: 0,
            grant: Some(grant),
            closing: false,
        })
    }

    fn node(&self, worker: &WorkerId) -> Option<Node> {
        (*worker == self.worker).then_some(Node { det_class: DET_CLASS })
    }

    fn rate(&self) -> u64 {
        1_000_000_000
    }

    fn now_ms(&self) -> u64 {
        now_ms()
    }

    fn healthy(&self) -> bool {
        true
    }
}

struct OneNode(WorkerId);

impl Registry for OneNode {
    fn node(&self, worker: WorkerId) -> Option<NodeView> {
        (worker == self.0).then(|| NodeView {
            operator: WalletId(worker.0),
            region: "local".into(),
            class: 2,
            expires: i64::MAX,
            revoked: false,
            staked: true,
            ask: None,
        })
    }
}

/// Lines as the ledger has them, in the current epoch and the one before.
struct StoredLines {
    store: Store,
    gateway: WalletId,
}

#[async_trait]
impl LineStates for StoredLines {
    async fn lines(&self, worker: WorkerId) -> Result<Vec<LineState>, String> {
        let current = epoch();
        let mut states = Vec::new();
        for epoch in current.saturating_sub(1)..=current {
            let lines = self.store.lines(self.gateway, epoch, Some(worker)).await.map_err(|error| error.to_string())?;
            states.extend(lines.into_iter().filter_map(|line| {
                Some(LineState {
                    gateway: line.gateway.0.to_vec().into(),
                    line_key: line.line_key.to_vec().into(),
                    epoch: line.epoch,
                    seq: u32::try_from(line.next_seq.checked_sub(1)?).ok()?,
                    cum_nc: line.cum_nc,
                })
            }));
        }
        Ok(states)
    }
}

/// A running network.
pub struct Network {
    pub address: SocketAddr,
    pub api_key: String,
    pub worker: Arc<NullWorker>,
    gateway: Gateway,
    scheduler: Running,
    ledger: tokio::task::JoinHandle<()>,
    store: Store,
    serving: CancellationToken,
    booking: CancellationToken,
}

impl Network {
    /// Starts everything on free loopback ports, with its SQLite database in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let store = open_store(folder, "gateway.db").await?;
        let key = Arc::new(Keypair::new());
        let wallet = WalletId(key.pubkey().to_bytes());
        let worker = null_worker();
        let (serving, booking) = (CancellationToken::new(), CancellationToken::new());
        let local = SocketAddr::from(([127, 0, 0, 1], 0));

        let deps = SchedulerDeps::new(
            Arc::new(OneNode(worker.id())),
            Arc::new(StoredLines { store: store.clone(), gateway: wallet }),
        );
        let scheduler =
            waybill_scheduler::start(SchedulerConfig::new(local, DOMAIN, vec![wallet]), deps, serving.clone()).await?;
        worker.dial(scheduler.sessions).await.context("the worker's session")?;
        scheduler.scheduler.until_workers(|workers| !workers.is_empty()).await;

        let (ledger, ledger_task) = Ledger::start(store.clone(), LedgerConfig::new(wallet, "bench"), booking.clone());
        let pepper = Pepper::new([3; 32]);
        let terms = KeyTerms { channel: CHANNEL, label: "bench".into(), limit_nc: Some(PLENTY_NC) };
        let api_key = keys::create(&store, &pepper, terms, now_ms()).await?.reveal();
        let mut config = GatewayConfig::new(local, key, pepper, "bench");
        config.times.drain_notice = Duration::ZERO;
        let deps = GatewayDeps {
            store: store.clone(),
            ledger,
            hub: Arc::new(LocalHub::new("bench")),
            market: Arc::new(FixedMarket { gateway: wallet, worker: worker.id() }),
            dispatch: scheduler.scheduler.clone(),
        };
        let gateway = Gateway::start(config, deps, serving.clone()).await?;
        let address = gateway.address();
        Ok(Self { address, api_key, worker, gateway, scheduler, ledger: ledger_task, store, serving, booking })
    }

    /// What the ledger says was charged, in nano-credits.
    pub async fn charged_nc(&self) -> Result<u64> {
        Ok(self.store.channel(CHANNEL).await?.map_or(0, |channel| channel.charged_nc))
    }

    /// Sum of a metric over its labels, of this process since its start.
    pub fn metric(name: &str) -> f64 {
        let page = waybill_gateway::telemetry::prometheus().render();
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        });
        values.sum()
    }

    pub async fn stop(self) -> Result<()> {
        self.serving.cancel();
        self.gateway.stopped().await;
        self.scheduler.finished().await?;
        self.booking.cancel();
        self.ledger.await?;
        self.store.close().await;
        Ok(())
    }
}

pub async fn open_store(folder: &Path, name: &str) -> Result<Store> {
    let url = format!("sqlite://{}?mode=rwc", folder.join(name).display());
    Store::open(&url).await.context("the benchmark's database")
}

/// What one request of the null worker's model costs, in nano-credits.
pub fn request_nc() -> Option<u64> {
    amount::price_nc(9, PRICE)
}
