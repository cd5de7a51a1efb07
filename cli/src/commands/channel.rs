//! `waybill channel`: prepaid channels of a consumer with a gateway.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct ChannelArgs {}

pub async fn run(_args: ChannelArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
