//! `waybill up`: the whole network in one process. Local chain, genesis, a demonstration party for every role, gateway,
//! scheduler, settlement and two workers of different regions, each the same code that runs alone in production.

mod demo;
mod folder;

use crate::{
    genesis::{self, GenesisPlan},
    output,
    progress::Progress,
    services::{self, Signals},
};
use anyhow::Context as _;
use clap::Args;
use demo::{Channels, Demo, DemoModel, Wallets};
use folder::Folder;
use serde::Serialize;
use solana_signer::Signer;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use waybill_chain::{Catalogue, Chain, market::state::StageKind};
use waybill_localnet::{Localnet, LocalnetConfig};
use waybill_protocol::WalletId;
use waybill_store::Store;
use waybill_worker::{ArchiveConfig, ModelSpec};

/// Regions of the two workers.
const REGIONS: [&str; 2] = ["eu-west", "us-east"];
/// Lamports of the admin wallet (1,000 SOL): it pays for genesis.
const ADMIN_LAMPORTS: u64 = 1_000_000_000_000;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill up\n  waybill up --json --port 0 --data-dir /tmp/one      several networks side by side"
)]
pub struct UpArgs {
    /// Folder of chain, database and keys [default: ~/.local/share/waybill]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of the gateway; 0 takes free ports for everything
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Database: sqlite://PATH or postgres://… [default: a SQLite file in the data folder]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// State shared between replicas: redis://… [default: in process]
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// Folder of ONNX Runtime and models [default: ~/.cache/waybill]
    #[arg(long, env = "WAYBILL_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Folder of the three programs' .so files [default: `deploy` beside this program's folder]
    #[arg(long, env = "WAYBILL_PROGRAMS", value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Genesis plan of a new network, TOML; `waybill genesis --print-plan` shows the default
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Threads of one inference in each worker
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
}

/// What `--json` prints once everything is ready.
#[derive(Debug, Serialize)]
struct Ready {
    gateway: String,
    api_key: String,
    /// A key whose channel cannot pay for any request.
    exhausted_api_key: String,
    rpc: String,
    scheduler: String,
    data_dir: PathBuf,
    programs: services::ProgramIds,
    parties: Vec<PartyLine>,
    workers: Vec<WorkerLine>,
    models: Vec<ModelLine>,
    channel: String,
}

#[derive(Debug, Serialize)]
struct PartyLine {
    role: String,
    wallet: String,
    keypair: PathBuf,
}

#[derive(Debug, Serialize)]
struct WorkerLine {
    worker: String,
    operator: String,
    region: String,
}

#[derive(Debug, Serialize)]
struct ModelLine {
    id: String,
    kind: &'static str,
    artifact: String,
    container: String,
}

pub async fn run(args: UpArgs, json: bool) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let progress = Progress::new(json);
    let folder = Folder::open(args.data_dir.clone())?;
    let stop = CancellationToken::new();
    let started = start(&args, &folder, &progress, &stop);
    let network = tokio::select! {
        network = started => network,
        () = signals.wait() => return Ok(()),
    };
    let network = match network {
        Ok(network) => network,
        Err(error) => {
            stop.cancel();
            return Err(error);
        }
    };
    progress.finish();
    output::print(json, &network.ready, Ready::text)?;
    let ended = tokio::select! {
        () = signals.wait() => Ok(()),
        outcome = network.localnet.ended() => outcome.context("the local chain ended"),
        outcome = network.services.ended() => outcome,
    };
    network.services.stop().await;
    stop.cancel();
    network.localnet.stop().await.context("stopping the local chain")?;
    ended
}

struct Network {
    ready: Ready,
    services: services::Running,
    localnet: Localnet,
}

async fn start(
    args: &UpArgs,
    folder: &Folder,
    progress: &Progress,
    stop: &CancellationToken,
) -> anyhow::Result<Network> {
    let cache = services::cache_folder(args.cache.clone())?;
    let models = DemoModel::all(&cache.join("models"))?;
    let wallets = Wallets::open(&folder.keys(), REGIONS.len())?;

    progress.step("local chain");
    let localnet = waybill_localnet::start(
        LocalnetConfig {
            data_dir: folder.chain(),
            rpc_port: if args.port == 8080 { 8899 } else { 0 },
            ws_port: if args.port == 8080 { 8900 } else { 0 },
            programs: services::program_files(args.programs.clone())?,
        },
        stop.clone(),
    )
    .await
    .context("starting the local chain")?;
    let chain = Chain::connect(&localnet.rpc_url);
    progress.done(&format!("chain      {}", localnet.rpc_url));

    let admin = wallets.admin.pubkey();
    if chain.lamports(&admin).await? < ADMIN_LAMPORTS / 2 {
        chain.airdrop(&admin, ADMIN_LAMPORTS).await?;
    }
    let plan = match &args.plan {
        Some(file) => GenesisPlan::read(file)?,
        None => GenesisPlan::local(),
    };
    genesis::run(&chain, &wallets.admin, &plan, progress).await?;
    let channels =
        Demo { chain: &chain, wallets: &wallets, models: &models, regions: &REGIONS, progress }.set_up().await?;
    progress.done("parties    vendor, oem, two operators, curator, weaver, gateway, consumer");

    progress.step("services");
    let database = args.database.clone().unwrap_or_else(|| folder.database());
    let store = Store::open(&database).await.with_context(|| format!("opening the database {database}"))?;
    let hub = services::open_hub(args.hub.as_deref()).await?;
    let (api_key, exhausted_api_key) = api_keys(folder, &store, &wallets, &channels).await?;
    let gateway_key = Arc::new(wallets.gateway.insecure_clone());
    let mut running = services::Running::new();
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));

    let catalogue = Catalogue::new(chain.clone(), Some(gateway_key.pubkey()));
    catalogue.refresh().await.context("reading the chain")?;
    running.watch_catalogue(catalogue.clone(), Duration::from_secs(1));
    let scheduler = running
        .scheduler(local(if args.port == 0 { 0 } else { args.port + 1 }), None, &catalogue, &store, gateway_key.clone())
        .await
        .context("starting the scheduler")?;
    let outbox = running.settlement(&catalogue, &store, gateway_key.clone());
    let pepper = folder.pepper()?;
    let wallet = WalletId(gateway_key.pubkey().to_bytes());
    running.audits(&catalogue, &store, scheduler.scheduler.clone(), outbox, wallet, pepper.material_key())?;
    let gateway = running
        .gateway(local(args.port), gateway_key, pepper, &catalogue, &store, hub, scheduler.dispatch.clone(), true)
        .await
        .context("starting the gateway")?;

    progress.step("workers: loading models");
    let folder_of_models = cache.join("models");
    for (index, region) in REGIONS.iter().enumerate() {
        let key = wallets.workers[index].insecure_clone();
        let settings = services::WorkerSettings {
            scheduler_url: format!("http://{}", scheduler.address),
            region: (*region).to_owned(),
            class: u16::try_from(index).unwrap_or(0),
            det_class: genesis::DET_CLASS,
            threads: usize::from(args.threads),
            slots: 4,
            library: services::runtime_library(&cache),
            models: vec![ModelSpec::smollm2(&folder_of_models), ModelSpec::minilm(&folder_of_models)],
            archive: Some(ArchiveConfig::new(folder.path().join("evidence").join(region))),
            terms: None,
        };
        running.worker(settings, key, &catalogue).await.with_context(|| format!("starting the worker in {region}"))?;
    }
    let gateway_url = format!("http://{gateway}");
    services::wait_ready(&gateway_url, REGIONS.len(), &scheduler.dispatch).await?;
    progress.done(&format!("gateway    {gateway_url}"));

    let ready = Ready {
        gateway: gateway_url,
        api_key,
        exhausted_api_key,
        rpc: localnet.rpc_url.clone(),
        scheduler: format!("http://{}", scheduler.address),
        data_dir: folder.path().to_owned(),
        programs: services::ProgramIds::default(),
        parties: parties(&wallets, folder),
        workers: workers(&wallets),
        models: models.iter().map(model_line).collect(),
        channel: channels.consumer.to_string(),
    };
    Ok(Network { ready, services: running, localnet })
}

/// The two keys of the demonstration, the same at every start.
async fn api_keys(
    folder: &Folder,
    store: &Store,
    wallets: &Wallets,
    channels: &Channels,
) -> anyhow::Result<(String, String)> {
    let pepper = folder.pepper()?;
    let mut keys = Vec::new();
    for (name, wallet, channel) in [
        ("api-key", &wallets.consumer, channels.consumer),
        ("exhausted-api-key", &wallets.exhausted, channels.exhausted),
    ] {
        let owner = services::KeyOwner { consumer: wallet.pubkey(), gateway: wallets.gateway.pubkey(), channel };
        keys.push(folder.api_key(name, store, &pepper, &owner).await?);
    }
    let exhausted = keys.pop().unwrap_or_default();
    Ok((keys.pop().unwrap_or_default(), exhausted))
}

fn parties(wallets: &Wallets, folder: &Folder) -> Vec<PartyLine> {
    let named = [
        ("vendor", "vendor", &wallets.vendor),
        ("oem", "oem", &wallets.oem),
        ("provider", "operator-1", &wallets.operators[0]),
        ("provider", "operator-2", &wallets.operators[1]),
        ("curator", "curator", &wallets.curator),
        ("weaver", "weaver", &wallets.weaver),
        ("gateway", "gateway", &wallets.gateway),
        ("consumer", "consumer", &wallets.consumer),
    ];
    let line = |(role, file, key): (&str, &str, &solana_keypair::Keypair)| PartyLine {
        role: role.to_owned(),
        wallet: key.pubkey().to_string(),
        keypair: folder.keys().join(format!("{file}.json")),
    };
    named.into_iter().map(line).collect()
}

fn workers(wallets: &Wallets) -> Vec<WorkerLine> {
    let each = wallets.workers.iter().zip(&wallets.operators).zip(REGIONS);
    each.map(|((worker, operator), region)| WorkerLine {
        worker: worker.pubkey().to_string(),
        operator: operator.pubkey().to_string(),
        region: region.to_owned(),
    })
    .collect()
}

fn model_line(model: &DemoModel) -> ModelLine {
    let kind = if model.kind == StageKind::Chat { "chat" } else { "embed" };
    ModelLine {
        id: model.name.to_owned(),
        kind,
        artifact: hex::encode(model.artifact),
        container: hex::encode(model.container()),
    }
}

impl Ready {
    fn text(&self) -> String {
        let Self { gateway, api_key, rpc, data_dir, .. } = self;
        let chat = self.models.iter().find(|model| model.kind == "chat").map_or("", |model| &model.id);
        let workers: Vec<&str> = self.workers.iter().map(|worker| worker.region.as_str()).collect();
        let data = data_dir.display();
        format!(
            "
Waybill is up: {gateway} with workers in {workers}. Ctrl-C stops it.

  export OPENAI_BASE_URL={gateway}/v1 OPENAI_API_KEY={api_key}

Try:
  curl -i $OPENAI_BASE_URL/chat/completions -H \"Authorization: Bearer $OPENAI_API_KEY\" -H 'Content-Type: application/json' -d '{{\"model\":\"{chat}\",\"messages\":[{{\"role\":\"user\",\"content\":\"What is the capital of France?\"}}]}}'

The answer's header x-waybill-receipt names its receipt. A minute later its epoch is settled on chain:
  waybill --rpc {rpc} receipt verify --gateway {gateway} --api-key $OPENAI_API_KEY RECEIPT
  waybill --rpc {rpc} earnings list
Wallets: {data}/keys",
            workers = workers.join(" and "),
        )
    }
}
