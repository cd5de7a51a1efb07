//! `waybill earnings`: what a wallet earned, and its withdrawal.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct EarningsArgs {}

pub async fn run(_args: EarningsArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
