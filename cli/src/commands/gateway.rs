//! `waybill gateway`: the REST entrance alone, beside a scheduler in another process.

use crate::{
    context::Context,
    output,
    services::{self, Running, Signals},
};
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use solana_signer::Signer;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use waybill_chain::Catalogue;
use waybill_scheduler::RemoteScheduler;
use waybill_store::Store;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  waybill gateway --keypair gateway.json --database postgres://waybill@db/waybill --hub redis://cache \\\n    --scheduler http://127.0.0.1:8082 --pepper /etc/waybill/pepper --rpc https://api.devnet.solana.com"
)]
pub struct GatewayArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the scheduler takes dispatches
    #[arg(long, env = "WAYBILL_SCHEDULER", value_name = "URL")]
    scheduler: String,
    /// Database: sqlite://PATH or postgres://…
    #[arg(long, env = "WAYBILL_DATABASE", value_name = "URL")]
    database: String,
    /// State shared between replicas: redis://… [default: in process]
    #[arg(long, env = "WAYBILL_HUB", value_name = "URL")]
    hub: Option<String>,
    /// File with the secret under which API keys are hashed; made at the first start
    #[arg(long, env = "WAYBILL_PEPPER", value_name = "FILE")]
    pepper: PathBuf,
    /// This is the only process with this key: take over at once what a crashed one held. Never with replicas
    #[arg(long)]
    sole: bool,
    /// Seconds between two readings of the chain
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    refresh: u64,
}

#[derive(Serialize)]
struct Ready {
    gateway: String,
    wallet: String,
}

pub async fn run(args: GatewayArgs, context: &Context) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let key = Arc::new(context.wallet()?);
    let store = Store::open(&args.database).await.context("opening the database")?;
    let hub = services::open_hub(args.hub.as_deref()).await?;
    let catalogue = Catalogue::new(context.chain.clone(), Some(key.pubkey()));
    catalogue.refresh().await.context("reading the chain")?;
    let mut running = Running::new();
    running.watch_catalogue(catalogue.clone(), Duration::from_secs(args.refresh));
    let dispatch = Arc::new(RemoteScheduler::new(&args.scheduler).context("--scheduler")?);
    let pepper = services::read_or_make_pepper(&args.pepper)?;
    let address =
        running.gateway(args.listen, key.clone(), pepper, &catalogue, &store, hub, dispatch, args.sole).await?;
    let ready = Ready { gateway: format!("http://{address}"), wallet: key.pubkey().to_string() };
    output::print(context.json, &ready, |ready| format!("gateway {} listens on {}", ready.wallet, ready.gateway))?;
    services::until_told(running, &signals).await
}
