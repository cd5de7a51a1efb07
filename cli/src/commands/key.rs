//! `waybill key`: API keys of a gateway.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct KeyArgs {}

pub async fn run(_args: KeyArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
