//! `waybill stake`: stakes AIC for a role and takes it back.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct StakeArgs {}

pub async fn run(_args: StakeArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
