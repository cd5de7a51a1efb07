//! `waybill receipt`: shows a receipt and checks it against the chain.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct ReceiptArgs {}

pub async fn run(_args: ReceiptArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
