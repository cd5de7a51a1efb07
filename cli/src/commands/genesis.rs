//! `waybill genesis`: brings a network into being on a cluster, or finishes what an earlier run began.

use crate::{
    context::Context,
    genesis::{self, GenesisPlan},
    lookup, output,
    progress::Progress,
    services::ProgramIds,
};
use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use solana_signer::Signer;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill genesis --print-plan > plan.toml     the plan of a local network, to change\n  waybill genesis --plan plan.toml --keypair admin.json --rpc https://api.devnet.solana.com\n\nThe wallet becomes the admin; it must be the upgrade authority of the three programs."
)]
pub struct GenesisArgs {
    /// What is decided at genesis, as --print-plan prints it [default: a local network]
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Print the plan and change nothing
    #[arg(long)]
    print_plan: bool,
}

#[derive(Serialize)]
struct Born {
    cluster_name: String,
    admin: String,
    /// First bytes of every message signed on this network.
    domain: String,
    epoch_s: u32,
    programs: ProgramIds,
}

pub async fn run(args: GenesisArgs, context: &Context) -> anyhow::Result<()> {
    let plan = match &args.plan {
        Some(file) => read_plan(file)?,
        None => GenesisPlan::local(),
    };
    if args.print_plan {
        let text = toml::to_string(&plan).context("writing the plan")?;
        return output::print(context.json, &plan, |_| text.trim_end().to_owned());
    }
    let admin = context.wallet()?;
    if context.chain.lamports(&admin.pubkey()).await? == 0 {
        bail!(
            "the admin wallet {} has no SOL for rent and fees; `waybill wallet airdrop 10` gets some on a test cluster",
            admin.pubkey()
        );
    }
    let progress = Progress::new(context.json);
    let outcome = genesis::run(&context.chain, &admin, &plan, &progress).await;
    progress.finish();
    outcome?;
    let config = lookup::settle_config(&context.chain).await?;
    let born = Born {
        cluster_name: plan.cluster_name,
        admin: admin.pubkey().to_string(),
        domain: hex::encode(config.domain),
        epoch_s: config.epoch_s,
        programs: ProgramIds::default(),
    };
    output::print(context.json, &born, |born| {
        let Born { cluster_name, admin, domain, epoch_s, programs } = born;
        format!(
            "network {cluster_name} exists: domain {domain}, epochs of {epoch_s} s\nadmin       {admin}\ncoin        {}\nmarket      {}\nsettlement  {}",
            programs.coin, programs.market, programs.settlement
        )
    })
}

fn read_plan(file: &Path) -> anyhow::Result<GenesisPlan> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_plan(&text)
        .with_context(|| format!("{} is no genesis plan; `waybill genesis --print-plan` prints one", file.display()))
}

fn parse_plan(text: &str) -> anyhow::Result<GenesisPlan> {
    Ok(toml::from_str(text)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_printed_plan_reads_back_as_it_was() {
        let plan = GenesisPlan::local();
        let read = parse_plan(&toml::to_string(&plan).unwrap()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&plan).unwrap());
    }

    #[test]
    fn a_plan_with_an_unknown_or_missing_word_is_refused() {
        let text = toml::to_string(&GenesisPlan::local()).unwrap();
        assert!(parse_plan(&format!("colour = 1\n{text}")).unwrap_err().to_string().contains("colour"));
        assert!(parse_plan(&text.replace("epoch_s", "epochs")).is_err());
    }
}
