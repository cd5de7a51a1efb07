//! `waybill earnings`: what the network owes a wallet, and its withdrawal.

use crate::{context::Context, input, output, role};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use std::collections::HashMap;
use waybill_chain::{
    coin, ix, market,
    market::state::Party,
    settlement::{self, constants::SWEEP_DELAY_S, state::Earnings},
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill earnings list\n  waybill earnings show\n  waybill earnings withdraw              everything, to this wallet\n  waybill earnings withdraw 12.5\n  waybill earnings sweep-to 3Cd…w8Q      a cold wallet that anyone may have paid out to, from a day later on"
)]
pub struct EarningsArgs {
    #[command(subcommand)]
    command: EarningsCommand,
}

#[derive(Debug, Subcommand)]
enum EarningsCommand {
    /// List what everyone earned
    List {
        /// Only this wallet's
        #[arg(long, value_parser = input::address)]
        owner: Option<Pubkey>,
    },
    /// Show what one wallet earned
    Show {
        /// Whose [default: the wallet that signs]
        #[arg(value_parser = input::address)]
        owner: Option<Pubkey>,
    },
    /// Withdraw to this wallet
    Withdraw {
        /// How much [default: everything]
        #[arg(value_parser = output::parse_aic, value_name = "AIC")]
        amount: Option<u64>,
    },
    /// Register the wallet that later sweeps pay; in effect after 24 hours
    SweepTo {
        #[arg(value_parser = input::address)]
        wallet: Pubkey,
    },
}

/// Amounts in AIC base units.
#[derive(Serialize)]
struct EarningsLine {
    owner: String,
    roles: Vec<&'static str>,
    payable: u64,
    total: u64,
    withdrawn: u64,
    sweep_to: Option<String>,
}

#[derive(Serialize)]
struct Withdrawn {
    owner: String,
    /// What was paid; 0 when it waits until `due_at`, unix seconds.
    amount: u64,
    due_at: i64,
    signature: String,
}

#[derive(Serialize)]
struct SweepSet {
    owner: String,
    sweep_to: String,
    /// Unix seconds.
    from: i64,
    signature: String,
}

pub async fn run(args: EarningsArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        EarningsCommand::List { owner } => list(owner, context).await,
        EarningsCommand::Show { owner } => {
            let owner = match owner {
                Some(owner) => owner,
                None => context.wallet()?.pubkey(),
            };
            show(owner, context).await
        }
        EarningsCommand::Withdraw { amount } => withdraw(amount, context).await,
        EarningsCommand::SweepTo { wallet } => sweep_to(wallet, context).await,
    }
}

/// Roles by owner.
async fn roles(context: &Context) -> anyhow::Result<HashMap<Pubkey, Vec<&'static str>>> {
    let mut parties: Vec<(Pubkey, Party)> = context.chain.all(&market::ID).await?;
    parties.sort_by_key(|(_, party)| party.role as u8);
    let mut roles: HashMap<Pubkey, Vec<&'static str>> = HashMap::new();
    for (_, party) in parties {
        roles.entry(party.owner).or_default().push(role::name(party.role));
    }
    Ok(roles)
}

impl EarningsLine {
    fn of(earnings: &Earnings, roles: &HashMap<Pubkey, Vec<&'static str>>, now: i64) -> Self {
        let sweep = earnings.sweep_at(now);
        Self {
            owner: earnings.owner.to_string(),
            roles: roles.get(&earnings.owner).cloned().unwrap_or_default(),
            payable: earnings.amount_aic,
            total: earnings.total_in_aic,
            withdrawn: earnings.withdrawn_aic,
            sweep_to: (sweep != Pubkey::default()).then(|| sweep.to_string()),
        }
    }
}

fn address(owner: &Pubkey) -> Pubkey {
    settlement::seeds::find_earnings(owner, &coin::seeds::find_mint().0).0
}

/// A wallet's earnings; a wallet that never earned has none.
async fn read(owner: &Pubkey, context: &Context) -> anyhow::Result<Earnings> {
    match context.chain.account(&address(owner)).await? {
        Some(earnings) => Ok(earnings),
        None => bail!("{owner} has earned nothing yet"),
    }
}

async fn list(owner: Option<Pubkey>, context: &Context) -> anyhow::Result<()> {
    let (roles, now) = (roles(context).await?, context.chain.unix_time().await?);
    let mut all: Vec<(Pubkey, Earnings)> = context.chain.all(&settlement::ID).await?;
    all.retain(|(_, earnings)| owner.is_none_or(|owner| earnings.owner == owner));
    all.sort_by_key(|(_, earnings)| std::cmp::Reverse(earnings.total_in_aic));
    let lines: Vec<EarningsLine> = all.iter().map(|(_, earnings)| EarningsLine::of(earnings, &roles, now)).collect();
    output::print(context.json, &lines, |lines| {
        if lines.is_empty() {
            return "nobody has earned anything yet; an epoch is settled soon after it ends".to_owned();
        }
        let rows = lines.iter().map(|line| {
            vec![
                line.roles.join(", "),
                line.owner.clone(),
                output::aic(line.payable),
                output::aic(line.withdrawn),
                output::aic(line.total),
            ]
        });
        output::table(&["roles", "owner", "payable, AIC", "withdrawn, AIC", "total, AIC"], rows)
    })
}

async fn show(owner: Pubkey, context: &Context) -> anyhow::Result<()> {
    let earnings = read(&owner, context).await?;
    let line = EarningsLine::of(&earnings, &roles(context).await?, context.chain.unix_time().await?);
    output::print(context.json, &line, |line| {
        let sweep = line.sweep_to.as_deref().unwrap_or("none");
        format!(
            "owner      {} ({})\npayable    {} AIC\nwithdrawn  {} AIC\ntotal      {} AIC\nsweep to   {sweep}",
            line.owner,
            line.roles.join(", "),
            output::aic(line.payable),
            output::aic(line.withdrawn),
            output::aic(line.total)
        )
    })
}

async fn withdraw(amount: Option<u64>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let before = read(&owner, context).await?;
    let payable = before.amount_aic;
    let wanted = amount.unwrap_or(payable);
    if wanted == 0 || wanted > payable {
        bail!("{} AIC are payable, {} cannot be withdrawn", output::aic(payable), output::aic(wanted));
    }
    let instructions = [ix::create_aic_account(&owner, &owner), ix::settlement::withdraw_earnings(owner, amount)];
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let after = read(&owner, context).await?;
    let due_at = after.due_at;
    // A delayed withdrawal pays nothing yet; one that has waited pays what has waited.
    let amount = if due_at > 0 { 0 } else { after.withdrawn_aic.saturating_sub(before.withdrawn_aic) };
    let done = Withdrawn { owner: owner.to_string(), amount, due_at, signature: signature.to_string() };
    let now = context.chain.unix_time().await?;
    output::print(context.json, &done, |done| {
        if done.due_at > 0 {
            let wait = input::span_text(done.due_at.saturating_sub(now));
            return format!("above what the pool pays in an hour: run the same command again in {wait}");
        }
        format!("{} AIC are in {}", output::aic(done.amount), done.owner)
    })
}

async fn sweep_to(to: Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let mut instructions = vec![];
    if context.chain.account::<Earnings>(&address(&owner)).await?.is_none() {
        instructions.push(ix::settlement::open_earnings(owner, owner));
    }
    instructions.push(ix::settlement::set_sweep(owner, to));
    let now = context.chain.unix_time().await?;
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let done = SweepSet {
        owner: owner.to_string(),
        sweep_to: to.to_string(),
        from: now + SWEEP_DELAY_S,
        signature: signature.to_string(),
    };
    output::print(context.json, &done, |done| {
        format!("from {} on, sweeps of {} pay {}", input::span_text(SWEEP_DELAY_S), done.owner, done.sweep_to)
    })
}
