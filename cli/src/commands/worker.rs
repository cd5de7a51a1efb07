//! `waybill worker`: run a worker, install it as a service, test this machine, delegate its key.

use crate::{
    context::{Context, ensure_keypair, home, read_keypair},
    genesis::{DET_CLASS, region},
    output,
    services::{self, Running, Signals, WorkerSettings},
};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use waybill_chain::{Catalogue, ix, market::instructions::RegisterNodeArgs};
use waybill_worker::{ArchiveConfig, EngineConfig, ModelSpec, offers::Terms};

/// The service definition that `install` fills in.
const UNIT: &str = include_str!("../../../deploy/waybill-worker.service");
const DAY_S: i64 = 86_400;
/// Pause between two looks at the market's price.
const OFFER_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill worker self-test\n  waybill worker register --key ~/.config/waybill/worker.json --region eu-west   (signed by the operator's wallet)\n  waybill worker run --scheduler https://gateway.example:443 --region eu-west\n  waybill worker run --scheduler https://gateway.example:443 --region eu-west --market 1 --floor-nc 12000 --operator operator.json\n  waybill worker install --scheduler https://gateway.example:443 --region eu-west"
)]
pub struct WorkerArgs {
    #[command(subcommand)]
    command: WorkerCommand,
}

#[derive(Debug, Subcommand)]
enum WorkerCommand {
    /// Serve until stopped
    Run(RunArgs),
    /// Make the key, test this machine and install a systemd service
    Install(RunArgs),
    /// Load the models and measure them
    SelfTest(MachineArgs),
    /// Delegate a worker's key on chain, signed by the operator's wallet
    Register(RegisterArgs),
    /// Take a delegation back for good
    Revoke {
        /// The worker's key
        worker: String,
    },
}

#[derive(Debug, Args)]
struct MachineArgs {
    /// Folder of ONNX Runtime and models [default: ~/.cache/waybill]
    #[arg(long, env = "WAYBILL_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Threads of one inference [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    machine: MachineArgs,
    /// Where the scheduler takes workers
    #[arg(long, env = "WAYBILL_SCHEDULER", value_name = "URL")]
    scheduler: String,
    /// Where this machine stands, as registered
    #[arg(long, env = "WAYBILL_REGION")]
    region: String,
    /// 0 home, 1 edge, 2 datacenter
    #[arg(long, default_value_t = 0)]
    class: u16,
    /// Jobs at the same time
    #[arg(long, default_value_t = 4)]
    slots: usize,
    /// Market in whose book the capacity is offered; with --floor-nc
    #[arg(long, requires = "floor_nc")]
    market: Option<u32>,
    /// Serve only while the market's base price is at least this, in nano-credits per 1,000 units
    #[arg(long, value_name = "NC", requires = "market")]
    floor_nc: Option<u64>,
    /// Operator's wallet, which signs the offers; without it the price is watched and nothing is offered
    #[arg(long, env = "WAYBILL_OPERATOR", value_name = "FILE", requires = "floor_nc")]
    operator: Option<PathBuf>,
    /// Where the evidence behind receipts is kept for audits [default: evidence/KEY in the cache folder]
    #[arg(long, env = "WAYBILL_EVIDENCE", value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// The worker's own key; made at the first start [default: ~/.config/waybill/worker.json]
    #[arg(long, env = "WAYBILL_WORKER_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct RegisterArgs {
    /// The worker's key file: it signs too, which proves that it is there
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// 1 to 12 of a-z, 0-9 and '-'
    #[arg(long)]
    region: String,
    /// 0 home, 1 edge, 2 datacenter
    #[arg(long, default_value_t = 0)]
    class: u16,
    /// Determinism class of the machine; `waybill audit class list` shows them
    #[arg(long, default_value_t = DET_CLASS)]
    det_class: u16,
    /// Days until the delegation ends
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(i64).range(1..=365))]
    days: i64,
}

#[derive(Serialize)]
struct Ready {
    worker: String,
    scheduler: String,
    region: String,
}

#[derive(Serialize)]
struct Sent {
    worker: String,
    signature: String,
}

pub async fn run(args: WorkerArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        WorkerCommand::Run(args) => serve(args, context).await,
        WorkerCommand::Install(args) => install(args, context).await,
        WorkerCommand::SelfTest(args) => self_test(&args, context).await,
        WorkerCommand::Register(args) => register(args, context).await,
        WorkerCommand::Revoke { worker } => revoke(&worker, context).await,
    }
}

impl MachineArgs {
    fn engines(&self) -> anyhow::Result<EngineConfig> {
        let cache = services::cache_folder(self.cache.clone())?;
        let folder = cache.join("models");
        let models: Vec<_> = [ModelSpec::smollm2(&folder), ModelSpec::minilm(&folder)]
            .into_iter()
            .filter(ModelSpec::is_present)
            .collect();
        if models.is_empty() {
            bail!("no models in {}: `cargo xtask setup` fetches them", folder.display());
        }
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        Ok(EngineConfig { library: services::runtime_library(&cache), models, threads, max_batch: services::MAX_BATCH })
    }
}

impl RunArgs {
    fn terms(&self) -> anyhow::Result<Option<Terms>> {
        let (Some(market), Some(floor_nc)) = (self.market, self.floor_nc) else { return Ok(None) };
        let operator = self.operator.as_deref().map(read_keypair).transpose()?.map(Arc::new);
        Ok(Some(Terms { market, floor_nc, operator, interval: OFFER_INTERVAL }))
    }
}

fn key_path(key: Option<&Path>) -> anyhow::Result<PathBuf> {
    Ok(match key {
        Some(path) => path.to_owned(),
        None => home()?.join(".config/waybill/worker.json"),
    })
}

async fn serve(args: RunArgs, context: &Context) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let key = ensure_keypair(&key_path(args.key.as_deref())?)?;
    let worker = key.pubkey().to_string();
    let engines = args.machine.engines()?;
    let catalogue = Catalogue::new(context.chain.clone(), None);
    catalogue.refresh().await.context("reading the chain")?;
    let delegated = catalogue.view().and_then(|view| view.nodes.get(&key.pubkey()).map(|entry| entry.node.det_class));
    let det_class = delegated.with_context(|| {
        format!(
            "worker key {worker} is not delegated on this chain: run `waybill worker register` with the operator's wallet"
        )
    })?;
    let mut running = Running::new();
    running.watch_catalogue(catalogue.clone(), Duration::from_secs(5));
    let evidence = match &args.evidence {
        Some(folder) => folder.clone(),
        None => services::cache_folder(args.machine.cache.clone())?.join("evidence").join(&worker),
    };
    let settings = WorkerSettings {
        scheduler_url: args.scheduler.clone(),
        region: args.region.clone(),
        class: args.class,
        det_class,
        threads: engines.threads,
        slots: args.slots,
        library: engines.library,
        models: engines.models,
        archive: Some(ArchiveConfig::new(evidence)),
        terms: args.terms()?,
    };
    running.worker(settings, key, &catalogue).await?;
    let ready = Ready { worker, scheduler: args.scheduler, region: args.region };
    output::print(context.json, &ready, |ready| {
        format!("worker {} in {} dials {}", ready.worker, ready.region, ready.scheduler)
    })?;
    services::until_told(running, &signals).await
}

async fn self_test(args: &MachineArgs, context: &Context) -> anyhow::Result<()> {
    let config = args.engines()?;
    let tested = tokio::task::spawn_blocking(move || waybill_worker::self_test(&config)).await??;
    let lines: Vec<Measured> = tested.models.iter().map(Measured::of).collect();
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            vec![
                line.model.clone(),
                format!("{} ms", line.load_ms),
                format!("{} ms", line.first_ms),
                format!("{:.0}/s", line.per_second),
                line.says.clone(),
            ]
        });
        output::table(&["model", "load", "first", "tokens", "says"], rows)
    })
}

/// One model of the self-test.
#[derive(Serialize)]
struct Measured {
    model: String,
    artifact: String,
    load_ms: u128,
    first_ms: u128,
    /// Generated tokens for chat, input tokens for embeddings.
    per_second: f64,
    says: String,
}

impl Measured {
    fn of(timing: &waybill_worker::self_test::ModelTiming) -> Self {
        let tokens = if timing.kind == waybill_worker::ModelKind::Chat { timing.output } else { timing.input_tokens };
        Self {
            model: timing.name.clone(),
            artifact: timing.artifact.to_string(),
            load_ms: timing.load.as_millis(),
            first_ms: timing.first.as_millis(),
            per_second: tokens as f64 / timing.total.as_secs_f64().max(1e-9),
            says: timing.text.clone(),
        }
    }
}

/// Key, self-test and a systemd unit; prints what the operator does next.
async fn install(args: RunArgs, context: &Context) -> anyhow::Result<()> {
    let path = key_path(args.key.as_deref())?;
    let key = ensure_keypair(&path)?;
    self_test(&args.machine, context).await?;
    let unit = UNIT
        .replace("@BINARY@", &std::env::current_exe()?.display().to_string())
        .replace("@SCHEDULER@", &args.scheduler)
        .replace("@REGION@", &args.region)
        .replace("@CLASS@", &args.class.to_string())
        .replace("@SLOTS@", &args.slots.to_string())
        .replace("@KEY@", &path.canonicalize()?.display().to_string())
        .replace("@CACHE@", &services::cache_folder(args.machine.cache.clone())?.display().to_string())
        .replace("@RPC@", &context.chain.url());
    let target = Path::new("/etc/systemd/system/waybill-worker.service");
    std::fs::write(target, unit).with_context(|| format!("cannot write {}: run as root", target.display()))?;
    println!(
        "Installed {}.\nDelegate the key {} with the operator's wallet, then start it:\n  waybill worker register --key {} --region {} --keypair OPERATOR.json\n  systemctl daemon-reload && systemctl enable --now waybill-worker",
        target.display(),
        key.pubkey(),
        path.display(),
        args.region
    );
    Ok(())
}

async fn register(args: RegisterArgs, context: &Context) -> anyhow::Result<()> {
    let (operator, worker) = (context.wallet()?, read_keypair(&args.key)?);
    let expires = context.chain.unix_time().await? + args.days * DAY_S;
    let node =
        RegisterNodeArgs { region: region(&args.region)?, class: args.class, det_class: args.det_class, expires };
    let instruction = ix::market::register_node(operator.pubkey(), operator.pubkey(), worker.pubkey(), node);
    let signature = context.chain.send(&operator, &[&worker], &[instruction]).await?;
    let sent = Sent { worker: worker.pubkey().to_string(), signature: signature.to_string() };
    output::print(context.json, &sent, |sent| {
        format!("worker key {} may serve for {} for {} days", sent.worker, operator.pubkey(), args.days)
    })
}

async fn revoke(worker: &str, context: &Context) -> anyhow::Result<()> {
    let operator = context.wallet()?;
    let key = worker.parse().with_context(|| format!("{worker:?} is no key: expected a base58 address"))?;
    let signature = context.chain.send(&operator, &[], &[ix::market::revoke_node(operator.pubkey(), key)]).await?;
    let sent = Sent { worker: worker.to_owned(), signature: signature.to_string() };
    output::print(context.json, &sent, |sent| format!("worker key {} is revoked", sent.worker))
}
