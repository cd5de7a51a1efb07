//! `waybill wallet`: a wallet in the standard place, its balance, sending AIC.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct WalletArgs {}

pub async fn run(_args: WalletArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
