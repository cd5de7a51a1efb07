//! `waybill params`: what the params authority may change in the market, proposed in the open and applied later.

use crate::{context::Context, input, output, role};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use std::collections::BTreeMap;
use waybill_chain::{
    ix,
    market::{
        self,
        constants::PARAMS_NOTICE_EPOCHS,
        state::{MarketConfig, PendingParams, Tunables},
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill params show\n  waybill params propose fee_bps=250 min_stake_usd.provider=25\n  waybill params apply\n\nNames are those of `waybill params show`. A proposal replaces the one before."
)]
pub struct ParamsArgs {
    #[command(subcommand)]
    command: ParamsCommand,
}

#[derive(Debug, Subcommand)]
enum ParamsCommand {
    /// Show what holds and what is proposed
    Show,
    /// Propose changes; signed by the params authority
    Propose {
        /// What changes, as name=value
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
        /// Settlement epochs until it may apply, at least 2
        #[arg(long, default_value_t = PARAMS_NOTICE_EPOCHS)]
        notice: u32,
    },
    /// Apply the proposal once its time has come; anyone may
    Apply,
}

#[derive(Serialize)]
struct Shown {
    now: BTreeMap<String, String>,
    proposed: Option<Proposed>,
}

#[derive(Serialize)]
struct Proposed {
    /// The settlement epoch from which it may apply.
    effective_epoch: u32,
    /// Only what would change.
    changes: BTreeMap<String, String>,
}

pub async fn run(args: ParamsArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        ParamsCommand::Show => {}
        ParamsCommand::Propose { changes, notice } => propose(&changes, notice, context).await?,
        ParamsCommand::Apply => apply(context).await?,
    }
    show(context).await
}

async fn config(context: &Context) -> anyhow::Result<MarketConfig> {
    let address = market::seeds::find_config().0;
    Ok(context.chain.expect("market configuration", &address, "run `waybill genesis` first").await?)
}

async fn pending(context: &Context) -> anyhow::Result<Option<PendingParams>> {
    Ok(context.chain.account(&market::seeds::find_pending_params().0).await?)
}

async fn show(context: &Context) -> anyhow::Result<()> {
    let now = listed(&config(context).await?.tunables());
    let proposed = pending(context).await?.map(|pending| {
        let mut changes = listed(&pending.tunables);
        changes.retain(|name, value| now.get(name) != Some(value));
        Proposed { effective_epoch: pending.effective_epoch, changes }
    });
    output::print(context.json, &Shown { now, proposed }, |shown| {
        let rows = shown.now.iter().map(|(name, value)| {
            let new = shown.proposed.as_ref().and_then(|proposed| proposed.changes.get(name));
            vec![name.clone(), value.clone(), new.cloned().unwrap_or_default()]
        });
        let table = output::table(&["name", "now", "proposed"], rows);
        match &shown.proposed {
            Some(proposed) => format!("{table}\n\napplies from settlement epoch {} on", proposed.effective_epoch),
            None => table,
        }
    })
}

async fn propose(changes: &[String], notice: u32, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let config = config(context).await?;
    let mut tunables = config.tunables();
    for change in changes {
        let (name, value) =
            change.split_once('=').with_context(|| format!("{change:?} is no change: write it like fee_bps=250"))?;
        set(&mut tunables, name, value)?;
    }
    tunables.params.validate().and_then(|()| tunables.book.validate()).map_err(|_| {
        anyhow::anyhow!("these values are outside the compiled bounds: shares must leave something for compute, steps are 1 to 2,000 bps, times positive")
    })?;
    let epoch = config.params.epoch(context.chain.unix_time().await?)?;
    let effective = epoch.checked_add(notice).context("this notice is too long")?;
    let key = wallet.pubkey();
    context.chain.send(&wallet, &[], &[ix::books::propose_params(key, key, tunables, effective)]).await?;
    Ok(())
}

async fn apply(context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let Some(pending) = pending(context).await? else {
        bail!("nothing is proposed; `waybill params propose` does that");
    };
    context.chain.send(&wallet, &[], &[ix::books::apply_params(pending.rent_payer)]).await?;
    Ok(())
}

/// Every value under its name. Stakes in AIC and US dollars; 0 in the books means the compiled default, which is shown.
fn listed(tunables: &Tunables) -> BTreeMap<String, String> {
    let Tunables { params, book, min_stake_nc } = tunables;
    let mut all: BTreeMap<String, String> = [
        ("fee_bps", params.fee_bps.to_string()),
        ("kappa_vendor_bps", params.kappa_vendor_bps.to_string()),
        ("kappa_oem_bps", params.kappa_oem_bps.to_string()),
        ("kappa_weaver_bps", params.kappa_weaver_bps.to_string()),
        ("beta_max_bps", params.beta_max_bps.to_string()),
        ("step_up_bps", params.step_up_bps.to_string()),
        ("step_down_bps", params.step_down_bps.to_string()),
        ("ask_notice_s", params.ask_notice_s.to_string()),
        ("unbonding_s", params.unbonding_s.to_string()),
        ("min_base_nc", params.min_base_nc.to_string()),
        ("alpha_bps", book.alpha_bps().to_string()),
        ("headroom_bps", book.headroom_bps().to_string()),
        ("owner_cap_bps", book.owner_cap_bps().to_string()),
        ("units_per_aic", book.units_per_aic().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for role in role::ROLES {
        let index = usize::from(role as u8);
        all.insert(format!("min_stake_aic.{}", role::name(role)), output::aic(params.min_stake[index]));
        let usd = match min_stake_nc[index] {
            0 => "-".to_owned(),
            nc => output::usd(nc),
        };
        all.insert(format!("min_stake_usd.{}", role::name(role)), usd);
    }
    all
}

fn set(tunables: &mut Tunables, name: &str, value: &str) -> anyhow::Result<()> {
    let Tunables { params, book, min_stake_nc } = tunables;
    if let Some(role) = name.strip_prefix("min_stake_aic.") {
        let role = role::parse(role).map_err(anyhow::Error::msg)?;
        params.min_stake[usize::from(role as u8)] = output::parse_aic(value).map_err(anyhow::Error::msg)?;
        return Ok(());
    }
    if let Some(role) = name.strip_prefix("min_stake_usd.") {
        let role = role::parse(role).map_err(anyhow::Error::msg)?;
        min_stake_nc[usize::from(role as u8)] = input::usd(value).map_err(anyhow::Error::msg)?;
        return Ok(());
    }
    let refused = || format!("{value:?} is no value for {name}");
    match name {
        "fee_bps" => params.fee_bps = value.parse().with_context(refused)?,
        "kappa_vendor_bps" => params.kappa_vendor_bps = value.parse().with_context(refused)?,
        "kappa_oem_bps" => params.kappa_oem_bps = value.parse().with_context(refused)?,
        "kappa_weaver_bps" => params.kappa_weaver_bps = value.parse().with_context(refused)?,
        "beta_max_bps" => params.beta_max_bps = value.parse().with_context(refused)?,
        "step_up_bps" => params.step_up_bps = value.parse().with_context(refused)?,
        "step_down_bps" => params.step_down_bps = value.parse().with_context(refused)?,
        "ask_notice_s" => params.ask_notice_s = value.parse().with_context(refused)?,
        "unbonding_s" => params.unbonding_s = value.parse().with_context(refused)?,
        "min_base_nc" => params.min_base_nc = value.parse().with_context(refused)?,
        "alpha_bps" => book.alpha_bps = value.parse().with_context(refused)?,
        "headroom_bps" => book.headroom_bps = value.parse().with_context(refused)?,
        "owner_cap_bps" => book.owner_cap_bps = value.parse().with_context(refused)?,
        "units_per_aic" => book.units_per_aic = value.parse().with_context(refused)?,
        _ => bail!("there is no parameter {name:?}; `waybill params show` lists all"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use waybill_chain::market::state::{BookParams, MarketParams, Role};

    fn tunables() -> Tunables {
        Tunables {
            params: MarketParams {
                fee_bps: 300,
                kappa_vendor_bps: 3_000,
                kappa_oem_bps: 2_000,
                kappa_weaver_bps: 2_000,
                beta_max_bps: 1_000,
                step_up_bps: 500,
                step_down_bps: 1_000,
                epoch_s: 3_600,
                ask_notice_s: 3_600,
                unbonding_s: 600,
                min_base_nc: 1_000,
                min_stake: [0; 7],
            },
            book: BookParams::default(),
            min_stake_nc: [0; 7],
        }
    }

    #[test]
    fn every_listed_name_can_be_set_and_is_listed_as_set() {
        for name in listed(&tunables()).into_keys() {
            let mut changed = tunables();
            set(&mut changed, &name, "17").unwrap();
            let value = listed(&changed).remove(&name).unwrap();
            assert_eq!(value.trim_start_matches('$'), "17", "{name}");
            assert_ne!(changed, tunables(), "{name}");
        }
        let mut changed = tunables();
        set(&mut changed, "min_stake_usd.provider", "2.5").unwrap();
        assert_eq!(changed.min_stake_nc[usize::from(Role::Provider as u8)], 2_500_000_000);
        for (name, value) in [("epoch_s", "60"), ("fee_bps", "70000"), ("min_stake_aic.nobody", "1"), ("fee_bps", "-1")]
        {
            assert!(set(&mut changed, name, value).is_err(), "{name}={value}");
        }
    }
}
