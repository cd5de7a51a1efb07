//! `waybill offer`: puts the capacity of a worker into a market.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct OfferArgs {}

pub async fn run(_args: OfferArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
