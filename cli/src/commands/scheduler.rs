//! `waybill scheduler`: worker sessions, dispatch and the settlement of one gateway, without the REST entrance.

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
use waybill_protocol::WalletId;
use waybill_store::Store;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  waybill scheduler --keypair gateway.json --database postgres://waybill@db/waybill --rpc https://api.devnet.solana.com"
)]
pub struct SchedulerArgs {
    /// Address that workers dial
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Private address for gateways, health and metrics
    #[arg(long, default_value = "127.0.0.1:8082", value_name = "ADDRESS")]
    gateway_listen: SocketAddr,
    /// Database shared with the gateway: sqlite://PATH or postgres://…
    #[arg(long, env = "WAYBILL_DATABASE", value_name = "URL")]
    database: String,
    /// The gateway's secret file, which opens what it keeps for audits; without it nothing is audited
    #[arg(long, env = "WAYBILL_PEPPER", value_name = "FILE")]
    pepper: Option<PathBuf>,
    /// Dispatch only; another scheduler settles
    #[arg(long)]
    no_settlement: bool,
    /// Seconds between two readings of the chain
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    refresh: u64,
}

#[derive(Serialize)]
struct Ready {
    workers: String,
    gateways: Option<String>,
    wallet: String,
}

pub async fn run(args: SchedulerArgs, context: &Context) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let key = Arc::new(context.wallet()?);
    let store = Store::open(&args.database).await.context("opening the database")?;
    let catalogue = Catalogue::new(context.chain.clone(), Some(key.pubkey()));
    catalogue.refresh().await.context("reading the chain")?;
    let mut running = Running::new();
    running.watch_catalogue(catalogue.clone(), Duration::from_secs(args.refresh));
    let started = running.scheduler(args.listen, Some(args.gateway_listen), &catalogue, &store, key.clone()).await?;
    if !args.no_settlement {
        let outbox = running.settlement(&catalogue, &store, key.clone());
        if let Some(file) = &args.pepper {
            let key_of_material = services::read_pepper(file)?.material_key();
            let gateway = WalletId(key.pubkey().to_bytes());
            running.audits(&catalogue, &store, started.scheduler.clone(), outbox, gateway, key_of_material)?;
        }
    }
    let ready = Ready {
        workers: format!("http://{}", started.address),
        gateways: started.gateways.map(|address| format!("http://{address}")),
        wallet: key.pubkey().to_string(),
    };
    output::print(context.json, &ready, |ready| {
        let gateways = ready.gateways.as_deref().unwrap_or("none");
        format!("scheduler of gateway {}: workers dial {}, gateways call {gateways}", ready.wallet, ready.workers)
    })?;
    services::until_told(running, &signals).await
}
