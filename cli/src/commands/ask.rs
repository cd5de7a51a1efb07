//! `waybill ask`: what a vendor, OEM or weaver wants per 1,000 billable units.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct AskArgs {}

pub async fn run(_args: AskArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
