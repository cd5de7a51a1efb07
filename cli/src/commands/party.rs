//! `waybill party`: registers for a role and lists who has one.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct PartyArgs {}

pub async fn run(_args: PartyArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
