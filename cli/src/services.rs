//! Starts the services and stops them in reverse order. `waybill up` starts them all, the other commands one each.

use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use rand::TryRngCore;
use serde::Serialize;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use waybill_chain::{Catalogue, Outbox, coin, indexer, market, settlement};
use waybill_gateway::{
    ChainMarket, Gateway, GatewayConfig, GatewayDeps, Pepper, SecretKey,
    keys::{self, KeyTerms},
};
use waybill_protocol::{ChannelId, Dispatch, WalletId};
use waybill_scheduler::{
    Scheduler, SchedulerConfig, SchedulerDeps,
    audit::{AuditConfig, Auditor},
    onchain::{ChainRegistry, LedgerLines},
    settle::{SettleConfig, Settler},
};
use waybill_store::{Hub, Ledger, LedgerConfig, LocalHub, MaterialKey, RedisHub, Store};
use waybill_worker::{
    ArchiveConfig, EngineConfig, Engines, Gate, ModelSpec, Profile, Trust, WorkerConfig, WorkerDeps,
    offers::{Seller, Terms},
};

/// A view of the chain older than this sells no new work.
const VIEW_MAX_AGE: Duration = Duration::from_secs(30);
const INDEX_INTERVAL: Duration = Duration::from_secs(2);
const SETTLE_INTERVAL: Duration = Duration::from_millis(500);
const AUDIT_INTERVAL: Duration = Duration::from_secs(5);
/// Receipts still on their way when an epoch ends have this long to arrive.
const CLOSE_AFTER: Duration = Duration::from_secs(5);
/// Rows of one embedding batch.
pub const MAX_BATCH: usize = 16;
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Addresses of the three programs.
#[derive(Debug, Serialize)]
pub struct ProgramIds {
    pub coin: String,
    pub market: String,
    pub settlement: String,
}

impl Default for ProgramIds {
    fn default() -> Self {
        Self { coin: coin::ID.to_string(), market: market::ID.to_string(), settlement: settlement::ID.to_string() }
    }
}

/// SIGINT and SIGTERM.
pub struct Signals {
    stop: CancellationToken,
}

impl Signals {
    pub fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = CancellationToken::new();
        let told = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            told.cancel();
        });
        Ok(Self { stop })
    }

    pub async fn wait(&self) {
        self.stop.cancelled().await;
    }
}

/// A scheduler that listens.
pub struct StartedScheduler {
    /// Where workers dial in.
    pub address: SocketAddr,
    /// Where gateways of other processes call.
    pub gateways: Option<SocketAddr>,
    pub dispatch: Arc<dyn Dispatch>,
    /// For what only this process can ask of the workers.
    pub scheduler: Arc<Scheduler>,
}

/// What a worker is told by its operator.
pub struct WorkerSettings {
    pub scheduler_url: String,
    pub region: String,
    pub class: u16,
    /// Determinism class that the key is delegated in.
    pub det_class: u16,
    pub threads: usize,
    pub slots: usize,
    /// ONNX Runtime's shared library.
    pub library: PathBuf,
    pub models: Vec<ModelSpec>,
    /// Where the evidence behind its receipts is kept.
    pub archive: Option<ArchiveConfig>,
    /// What its capacity is offered for; absent serves at any price and offers nothing.
    pub terms: Option<Terms>,
}

/// Running services, in the order they were started.
pub struct Running {
    tasks: Vec<(&'static str, CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    failed: watch::Sender<Option<String>>,
    engines: Option<Arc<Engines>>,
}

impl Running {
    pub fn new() -> Self {
        Self { tasks: vec![], failed: watch::Sender::new(None), engines: None }
    }

    fn spawn(
        &mut self,
        name: &'static str,
        stop: CancellationToken,
        work: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let (failed, told) = (self.failed.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let outcome = work.await;
            // A service that ends by itself is an error even when it says nothing.
            if !told.is_cancelled() {
                failed.send_replace(Some(
                    outcome
                        .as_ref()
                        .err()
                        .map_or_else(|| format!("the {name} ended"), |e| format!("the {name} ended: {e:#}")),
                ));
            }
            outcome
        });
        self.tasks.push((name, stop, task));
    }

    /// Resolves with the reason when a service ends by itself.
    pub async fn ended(&self) -> anyhow::Result<()> {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(reason) => bail!("{}", reason.clone().unwrap_or_default()),
            Err(_) => Ok(()),
        }
    }

    /// Stops the last started first and waits for each.
    pub async fn stop(mut self) {
        while let Some((name, stop, task)) = self.tasks.pop() {
            stop.cancel();
            match task.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(service = name, error = format!("{error:#}"), "stopped with an error")
                }
                Err(error) => tracing::error!(service = name, %error, "stopped with a panic"),
            }
        }
    }

    /// Keeps the catalogue fresh.
    pub fn watch_catalogue(&mut self, catalogue: Arc<Catalogue>, interval: Duration) {
        let stop = CancellationToken::new();
        let told = stop.clone();
        self.spawn("catalogue", stop, async move {
            catalogue.watch(interval, told).await;
            Ok(())
        });
    }

    pub async fn scheduler(
        &mut self,
        listen: SocketAddr,
        gateway_listen: Option<SocketAddr>,
        catalogue: &Arc<Catalogue>,
        store: &Store,
        gateway: Arc<Keypair>,
    ) -> anyhow::Result<StartedScheduler> {
        let domain = catalogue.view().context("the chain was not read yet")?.settle.domain;
        let gateways = vec![WalletId(gateway.pubkey().to_bytes())];
        let mut config = SchedulerConfig::new(listen, domain, gateways.clone());
        config.gateway_listen = gateway_listen;
        let lines = LedgerLines { store: store.clone(), catalogue: catalogue.clone(), gateways };
        let deps = SchedulerDeps::new(Arc::new(ChainRegistry(catalogue.clone())), Arc::new(lines));
        let stop = CancellationToken::new();
        let running = waybill_scheduler::start(config, deps, stop.clone()).await?;
        let started = StartedScheduler {
            address: running.sessions,
            gateways: running.gateways,
            dispatch: running.scheduler.clone(),
            scheduler: running.scheduler.clone(),
        };
        self.spawn("scheduler", stop, async move { Ok(running.finished().await?) });
        Ok(started)
    }

    /// Outbox, index and the settlement of one gateway.
    pub fn settlement(&mut self, catalogue: &Arc<Catalogue>, store: &Store, gateway: Arc<Keypair>) -> Arc<Outbox> {
        let wallet = WalletId(gateway.pubkey().to_bytes());
        let outbox = Outbox::new(catalogue.chain().clone(), store.clone(), gateway, format!("settle/{wallet}"));
        let stop = CancellationToken::new();
        let (sender, told) = (outbox.clone(), stop.clone());
        self.spawn("outbox", stop, async move {
            sender.run(now_ms, told).await;
            Ok(())
        });
        for indexer in indexer::indexers(catalogue.chain(), store) {
            let stop = CancellationToken::new();
            let told = stop.clone();
            self.spawn("index", stop, async move {
                indexer.run(INDEX_INTERVAL, now_ms, told).await;
                Ok(())
            });
        }
        let config = SettleConfig {
            gateway: wallet,
            data_uri: String::new(),
            close_after: CLOSE_AFTER,
            interval: SETTLE_INTERVAL,
        };
        let settler = Settler::new(config, catalogue.clone(), store.clone(), outbox.clone());
        let stop = CancellationToken::new();
        let told = stop.clone();
        self.spawn("settlement", stop, async move {
            settler.run(told).await;
            Ok(())
        });
        outbox
    }

    /// Draws receipts of posted batches and has other workers re-execute them. `key` opens what the gateway sealed.
    pub fn audits(
        &mut self,
        catalogue: &Arc<Catalogue>,
        store: &Store,
        scheduler: Arc<Scheduler>,
        outbox: Arc<Outbox>,
        gateway: WalletId,
        key: MaterialKey,
    ) -> anyhow::Result<()> {
        let settle = catalogue.view().context("the chain was not read yet")?.settle.clone();
        let config = AuditConfig {
            gateway,
            domain: settle.domain,
            patience: Duration::from_secs(settle.audit.verdict_s().into()),
            interval: AUDIT_INTERVAL,
        };
        let auditor = Auditor::new(config, store.clone(), key, scheduler);
        let (stop, catalogue) = (CancellationToken::new(), catalogue.clone());
        let told = stop.clone();
        self.spawn("auditor", stop, async move {
            auditor.run(catalogue, outbox, told).await;
            Ok(())
        });
        Ok(())
    }

    /// `sole`: no other process uses this key, so that what a crashed one held is free at once.
    #[allow(clippy::too_many_arguments, reason = "each is a distinct part that the gateway stands on")]
    pub async fn gateway(
        &mut self,
        listen: SocketAddr,
        key: Arc<Keypair>,
        pepper: Pepper,
        catalogue: &Arc<Catalogue>,
        store: &Store,
        hub: Arc<dyn Hub>,
        dispatch: Arc<dyn Dispatch>,
        sole: bool,
    ) -> anyhow::Result<SocketAddr> {
        let wallet = WalletId(key.pubkey().to_bytes());
        let instance = instance()?;
        let ledger_stop = CancellationToken::new();
        let (ledger, ledger_task) =
            Ledger::start(store.clone(), LedgerConfig::new(wallet, instance.clone()), ledger_stop.clone());
        self.spawn("ledger", ledger_stop, async move { Ok(ledger_task.await?) });
        let market = ChainMarket::new(catalogue.clone(), VIEW_MAX_AGE).context("the chain was not read yet")?;
        let deps = GatewayDeps { store: store.clone(), ledger, hub, market: Arc::new(market), dispatch };
        let stop = CancellationToken::new();
        let config = GatewayConfig { sole, ..GatewayConfig::new(listen, key, pepper, instance) };
        let gateway = Gateway::start(config, deps, stop.clone()).await?;
        let address = gateway.address();
        self.spawn("gateway", stop, async move {
            gateway.stopped().await;
            Ok(())
        });
        Ok(address)
    }

    /// A worker; those of one process share the loaded models.
    pub async fn worker(
        &mut self,
        settings: WorkerSettings,
        key: Keypair,
        catalogue: &Arc<Catalogue>,
    ) -> anyhow::Result<()> {
        let settle = catalogue.view().context("the chain was not read yet")?.settle.clone();
        let engines = match &self.engines {
            Some(engines) => engines.clone(),
            None => {
                let config = EngineConfig {
                    library: settings.library,
                    models: settings.models,
                    threads: settings.threads,
                    max_batch: MAX_BATCH,
                };
                let engines = Arc::new(tokio::task::spawn_blocking(move || Engines::load(&config)).await??);
                self.engines = Some(engines.clone());
                engines
            }
        };
        let config = WorkerConfig {
            scheduler_url: settings.scheduler_url,
            key,
            profile: Profile {
                region: settings.region,
                class: settings.class,
                det_class: settings.det_class,
                slots: settings.slots,
                allowed_gateways: None,
            },
            domain: settle.domain,
            epoch_s: settle.epoch_s,
            trust: Trust::default(),
            drain: Duration::from_secs(30),
            archive: settings.archive,
        };
        let gate = Arc::new(Gate::default());
        if let Some(terms) = settings.terms {
            let (chain, worker) = (catalogue.chain().clone(), config.key.pubkey());
            let seller = Seller::new(chain, worker, terms, engines.clone(), settle.epoch_s, gate.clone());
            let stop = CancellationToken::new();
            let told = stop.clone();
            self.spawn("offers", stop, async move {
                seller.run(told).await;
                Ok(())
            });
        }
        let funding = Arc::new(waybill_worker::onchain::ChainFunding::new(catalogue.clone()));
        let rules: Arc<dyn waybill_worker::Rules> = Arc::new(waybill_worker::onchain::ChainRules(catalogue.clone()));
        let deps = WorkerDeps { engines, funding, gate, rules: Some(rules) };
        let stop = CancellationToken::new();
        let told = stop.clone();
        self.spawn("worker", stop, async move { Ok(waybill_worker::run(config, deps, told).await?) });
        Ok(())
    }
}

/// Serves until a signal or until a service ends by itself.
pub async fn until_told(running: Running, signals: &Signals) -> anyhow::Result<()> {
    let ended = tokio::select! {
        () = signals.wait() => Ok(()),
        outcome = running.ended() => outcome,
    };
    running.stop().await;
    ended
}

/// Waits until the gateway says that it is ready and all workers are connected.
pub async fn wait_ready(gateway: &str, workers: usize, dispatch: &Arc<dyn Dispatch>) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let ready = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        loop {
            looks.tick().await;
            let connected = dispatch.workers().await.map_or(0, |connected| connected.len());
            if connected < workers {
                continue;
            }
            if client.get(format!("{gateway}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
        }
    };
    tokio::time::timeout(READY_LIMIT, ready)
        .await
        .with_context(|| format!("not ready after {} s; see the log with --log info", READY_LIMIT.as_secs()))
}

/// The hub named by a URL, or the one of this process.
pub async fn open_hub(url: Option<&str>) -> anyhow::Result<Arc<dyn Hub>> {
    let holder = instance()?;
    Ok(match url {
        None => Arc::new(LocalHub::new(holder)),
        Some(url) => Arc::new(
            RedisHub::connect(url, "waybill", holder).await.with_context(|| format!("connecting to the hub {url}"))?,
        ),
    })
}

/// `--cache`, else `~/.cache/waybill`.
pub fn cache_folder(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    match named {
        Some(folder) => Ok(folder),
        None => Ok(crate::context::home()?.join(".cache/waybill")),
    }
}

/// ONNX Runtime in the cache folder.
pub fn runtime_library(cache: &Path) -> PathBuf {
    cache.join("lib/libonnxruntime.so.1.31.1")
}

/// The programs' files by address.
pub fn program_files(named: Option<PathBuf>) -> anyhow::Result<Vec<(Pubkey, PathBuf)>> {
    let folder = match named {
        Some(folder) => folder,
        // target/debug/waybill → target/deploy
        None => std::env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .context("this program has no folder")?
            .join("deploy"),
    };
    let files =
        [(coin::ID, "waybill_coin.so"), (market::ID, "waybill_market.so"), (settlement::ID, "waybill_settlement.so")];
    files
        .into_iter()
        .map(|(id, name)| {
            let file = folder.join(name);
            if !file.is_file() {
                bail!(
                    "{} is missing: build it with `cargo xtask programs`, or name the folder with --programs",
                    file.display()
                );
            }
            Ok((id, file))
        })
        .collect()
}

/// Whom an API key charges.
pub struct KeyOwner {
    pub consumer: Pubkey,
    pub gateway: Pubkey,
    pub channel: Pubkey,
}

/// Makes an API key for a channel and returns its secret text, which is stored nowhere but hashed.
pub async fn create_api_key(
    store: &Store,
    pepper: &Pepper,
    owner: &KeyOwner,
    label: &str,
    limit_nc: Option<u64>,
) -> anyhow::Result<String> {
    let channel = ChannelId(owner.channel.to_bytes());
    store.ensure_channel(channel, WalletId(owner.consumer.to_bytes()), WalletId(owner.gateway.to_bytes())).await?;
    let terms = KeyTerms { channel, label: label.to_owned(), limit_nc };
    let key = keys::create(store, pepper, terms, now_ms()).await?;
    Ok(key.reveal())
}

/// Whether the text is a key that this database knows.
pub async fn key_is_known(store: &Store, text: &str) -> anyhow::Result<bool> {
    let Some(key) = SecretKey::parse(text) else { return Ok(false) };
    Ok(store.api_key(&key.public_id).await?.is_some_and(|known| known.revoked_ms.is_none()))
}

/// 32 random bytes as hexadecimal digits, made once, readable by the owner only.
pub fn read_or_make_pepper(file: &Path) -> anyhow::Result<Pepper> {
    if !file.exists() {
        let mut bytes = [0; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).context("no randomness")?;
        write_secret(file, &hex::encode(bytes))?;
    }
    read_pepper(file)
}

pub fn read_pepper(file: &Path) -> anyhow::Result<Pepper> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read the pepper {}", file.display()))?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes)
        .with_context(|| format!("{} is no pepper: expected 64 hexadecimal digits", file.display()))?;
    Ok(Pepper::new(bytes))
}

/// Writes a file that only its owner can read; replaces an existing one.
pub fn write_secret(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut open = fs::OpenOptions::new();
    let mut handle = open
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot write {}", file.display()))?;
    handle.write_all(text.as_bytes())?;
    Ok(handle.sync_all()?)
}

/// A name for this process among those that share keys: unique per start.
fn instance() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).context("no randomness")?;
    Ok(hex::encode(bytes))
}

fn now_ms() -> u64 {
    waybill_store::ledger::system_clock()()
}
