//! `waybill localnet`: a local chain alone, for services that run in other processes.

use crate::{
    context::Context,
    output,
    services::{self, ProgramIds, Signals},
};
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;
use waybill_localnet::LocalnetConfig;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waybill localnet --data-dir /tmp/chain --port 8899")]
pub struct LocalnetArgs {
    /// Folder of the chain's state
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Port of the JSON-RPC on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8899)]
    port: u16,
    /// Port of the WebSocket interface; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    ws_port: u16,
    /// Folder of the three programs' .so files [default: `deploy` beside this program's folder]
    #[arg(long, env = "WAYBILL_PROGRAMS", value_name = "DIR")]
    programs: Option<PathBuf>,
}

#[derive(Serialize)]
struct Ready {
    rpc: String,
    ws: String,
    programs: ProgramIds,
}

pub async fn run(args: LocalnetArgs, context: &Context) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let config = LocalnetConfig {
        data_dir: args.data_dir,
        rpc_port: args.port,
        ws_port: args.ws_port,
        programs: services::program_files(args.programs)?,
    };
    let localnet =
        waybill_localnet::start(config, CancellationToken::new()).await.context("starting the local chain")?;
    let ready = Ready { rpc: localnet.rpc_url.clone(), ws: localnet.ws_url.clone(), programs: ProgramIds::default() };
    output::print(context.json, &ready, |ready| format!("local chain: {} and {}", ready.rpc, ready.ws))?;
    tokio::select! {
        () = signals.wait() => Ok(localnet.stop().await?),
        outcome = localnet.ended() => outcome.context("the local chain ended"),
    }
}
