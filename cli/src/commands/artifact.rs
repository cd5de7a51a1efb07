//! `waybill artifact`: registers a model file by its hash.

use crate::context::Context;
use clap::Args;

#[derive(Debug, Args)]
pub struct ArtifactArgs {}

pub async fn run(_args: ArtifactArgs, _context: &Context) -> anyhow::Result<()> {
    anyhow::bail!("this command is being written")
}
