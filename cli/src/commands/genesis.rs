//! `waybill genesis`: brings a network into being on a cluster.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct GenesisArgs {}

pub async fn run(_args: GenesisArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
