//! `waybill container`: publishes a workflow of models under one name.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct ContainerArgs {}

pub async fn run(_args: ContainerArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
