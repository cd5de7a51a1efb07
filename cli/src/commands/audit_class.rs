//! `waybill audit class`: the determinism classes, which say what machines can be compared and how close they must come.

use crate::{
    context::Context,
    genesis::{DetClassPlan, DetKindPlan},
    output,
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    Chain, ix,
    market::{
        self,
        state::{DetClass, DetKind, DetRule},
    },
};

#[derive(Debug, Subcommand)]
pub enum ClassCommand {
    /// List the classes and how their outputs are compared
    List,
    /// Register a class; signed by the params authority
    Add {
        /// The number that worker keys and receipts name
        id: u16,
        /// Runtime and version, execution provider, optimisation level, instruction set, quantisation, batch; the chain keeps
        /// its SHA-256
        #[arg(long, value_name = "TEXT")]
        machine: String,
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// Change how outputs are compared, or whether the class takes new workers and verifiers; signed by the params authority
    Tune {
        id: u16,
        #[command(flatten)]
        rule: RuleArgs,
        /// Take new workers again
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Take no new workers
        #[arg(long)]
        disable: bool,
    },
}

/// Limits in parts per million. What is left out stays as it is, and is 0 in a new class: not checked.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// How two outputs are compared
    #[arg(long)]
    kind: Option<DetKindPlan>,
    /// tolerance: largest difference, of the largest value; text: largest mean difference of the logits
    #[arg(long, value_name = "PPM")]
    tol_ppm: Option<u32>,
    /// text: largest margin of one token, of one logit
    #[arg(long, value_name = "PPM")]
    margin_ppm: Option<u32>,
    /// text: largest mean margin, of one logit
    #[arg(long, value_name = "PPM")]
    mean_margin_ppm: Option<u32>,
}

impl RuleArgs {
    /// The rule with these changes. Another kind starts from its own limits, all 0.
    fn changed(&self, old: DetRule) -> anyhow::Result<DetRule> {
        let base = match self.kind.map(DetKind::from) {
            Some(kind) if kind != old.kind => DetRule { kind, tol_ppm: 0, tau_ppm: 0, mu_ppm: 0, ..old },
            _ => old,
        };
        let rule = DetRule {
            tol_ppm: self.tol_ppm.unwrap_or(base.tol_ppm),
            tau_ppm: self.margin_ppm.unwrap_or(base.tau_ppm),
            mu_ppm: self.mean_margin_ppm.unwrap_or(base.mu_ppm),
            ..base
        };
        if rule.validate().is_err() {
            bail!(
                "these limits do not fit the kind {}: exact has none, tolerance has --tol-ppm from 1 to 1000000, text has --margin-ppm or --mean-margin-ppm and may have --tol-ppm",
                kind_name(rule.kind)
            );
        }
        Ok(rule)
    }
}

/// A class as people and programs read it.
#[derive(Serialize)]
struct ClassLine {
    id: u16,
    kind: &'static str,
    tol_ppm: u32,
    margin_ppm: u32,
    mean_margin_ppm: u32,
    enabled: bool,
    machine_hash: String,
}

impl From<&DetClass> for ClassLine {
    fn from(class: &DetClass) -> Self {
        Self {
            id: class.id,
            kind: kind_name(class.kind),
            tol_ppm: class.tol_ppm,
            margin_ppm: class.tau_ppm,
            mean_margin_ppm: class.mu_ppm,
            enabled: class.enabled,
            machine_hash: hex::encode(class.hash),
        }
    }
}

fn kind_name(kind: DetKind) -> &'static str {
    match kind {
        DetKind::Exact => "exact",
        DetKind::Tol => "tolerance",
        DetKind::Text => "text",
    }
}

pub async fn run(command: ClassCommand, context: &Context) -> anyhow::Result<()> {
    match command {
        ClassCommand::List => {}
        ClassCommand::Add { id, machine, rule } => add(id, &machine, &rule, context).await?,
        ClassCommand::Tune { id, rule, enable, disable } => {
            let enabled = (enable || disable).then_some(enable);
            tune(id, &rule, enabled, context).await?;
        }
    }
    list(context).await
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let mut classes: Vec<(Pubkey, DetClass)> = context.chain.all(&market::ID).await?;
    classes.sort_unstable_by_key(|(_, class)| class.id);
    let lines: Vec<ClassLine> = classes.iter().map(|(_, class)| class.into()).collect();
    output::print(context.json, &lines, |lines| {
        let limit = |ppm: u32| if ppm == 0 { "-".to_owned() } else { ppm.to_string() };
        let rows = lines.iter().map(|line| {
            vec![
                line.id.to_string(),
                line.kind.to_owned(),
                limit(line.tol_ppm),
                limit(line.margin_ppm),
                limit(line.mean_margin_ppm),
                if line.enabled { "yes" } else { "no" }.to_owned(),
                line.machine_hash.clone(),
            ]
        });
        output::table(&["class", "kind", "tol ppm", "margin ppm", "mean margin ppm", "enabled", "machine"], rows)
    })
}

async fn class(chain: &Chain, id: u16) -> anyhow::Result<Option<DetClass>> {
    Ok(chain.account(&market::seeds::find_det_class(id).0).await?)
}

/// Registers the class, unless it is there and the same.
async fn add(id: u16, machine: &str, rule: &RuleArgs, context: &Context) -> anyhow::Result<()> {
    let kind = rule.kind.context("say how outputs are compared: --kind exact, tolerance or text")?;
    let nothing = DetRule { kind: kind.into(), tol_ppm: 0, tau_ppm: 0, mu_ppm: 0, enabled: true };
    let (rule, hash) = (rule.changed(nothing)?, DetClassPlan::machine_hash(machine));
    if let Some(known) = class(&context.chain, id).await? {
        if known.hash == hash && (DetRule { enabled: true, ..known.rule() }) == rule {
            return Ok(());
        }
        bail!("class {id} is another one; `waybill audit class tune {id}` changes how its outputs are compared");
    }
    let wallet = context.wallet()?;
    let key = wallet.pubkey();
    context.chain.send(&wallet, &[], &[ix::books::register_det_class(key, key, id, hash, rule)]).await?;
    Ok(())
}

async fn tune(id: u16, rule: &RuleArgs, enabled: Option<bool>, context: &Context) -> anyhow::Result<()> {
    let known = class(&context.chain, id).await?;
    let old = known.with_context(|| format!("there is no class {id}; `waybill audit class list` shows all"))?.rule();
    let new = DetRule { enabled: enabled.unwrap_or(old.enabled), ..rule.changed(old)? };
    if new == old {
        return Ok(());
    }
    let wallet = context.wallet()?;
    context.chain.send(&wallet, &[], &[ix::books::tune_det_class(wallet.pubkey(), id, new)]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: DetRule =
        DetRule { kind: DetKind::Text, tol_ppm: 50_000, tau_ppm: 1_000_000, mu_ppm: 20_000, enabled: true };

    fn args(kind: Option<DetKindPlan>, limits: [Option<u32>; 3]) -> RuleArgs {
        let [tol_ppm, margin_ppm, mean_margin_ppm] = limits;
        RuleArgs { kind, tol_ppm, margin_ppm, mean_margin_ppm }
    }

    #[test]
    fn what_is_left_out_of_a_change_stays_unless_the_kind_changes() {
        assert_eq!(args(None, [None; 3]).changed(TEXT).unwrap(), TEXT);
        let tuned = args(Some(DetKindPlan::Text), [None, None, Some(10_000)]).changed(TEXT).unwrap();
        assert_eq!(tuned, DetRule { mu_ppm: 10_000, ..TEXT });
        let other = args(Some(DetKindPlan::Tolerance), [Some(100), None, None]).changed(TEXT).unwrap();
        assert_eq!(other, DetRule { kind: DetKind::Tol, tol_ppm: 100, tau_ppm: 0, mu_ppm: 0, enabled: true });
    }

    #[test]
    fn limits_of_another_kind_are_refused_and_the_error_says_which_fit() {
        for (kind, limits) in [
            (DetKindPlan::Exact, [Some(1), None, None]),
            (DetKindPlan::Tolerance, [None, None, None]),
            (DetKindPlan::Tolerance, [Some(100), Some(1), None]),
            (DetKindPlan::Text, [Some(100), Some(0), Some(0)]),
        ] {
            let error = args(Some(kind), limits).changed(TEXT).unwrap_err().to_string();
            assert!(error.contains("--tol-ppm from 1 to 1000000"), "{error}");
        }
    }
}
