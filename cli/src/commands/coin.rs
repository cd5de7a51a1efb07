//! `waybill coin`: the vaults of the supply, what may leave them and when, and the steps that anyone may take.

use crate::{context::Context, input, output};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    coin::{
        constants::{DAY_S, RELEASE_AFTER_S, SPEND_DELAY_S},
        seeds,
        state::{Breaker, CoinConfig, PendingSpend, Rate, Release, VaultKind},
    },
    ix,
    settlement::state::FeeDay,
};
use waybill_mechanism::{amount::bps_floor, breaker::Outflow};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill coin vaults\n  waybill coin release                    every day whose fees are final and not released\n  waybill coin spend propose treasury 5000 --to 3Cd…w8Q --id 1\n  waybill coin spend execute treasury 1    a day later"
)]
pub struct CoinArgs {
    #[command(subcommand)]
    command: CoinCommand,
}

#[derive(Debug, Subcommand)]
enum CoinCommand {
    /// Show what each vault holds and may pay at once, and the spends that wait
    Vaults,
    /// Release usage rewards into the grants vault: of one unix day, or of every day that is due
    Release { day: Option<u32> },
    /// Pay what has vested to the team's wallet
    ReleaseTeam,
    /// Burn what was sent to the burn account
    Burn,
    /// Spends that wait a day; the admin's
    Spend {
        #[command(subcommand)]
        command: SpendCommand,
    },
    /// Replace the reporters of the rate; the admin's
    SetReporters {
        /// One to five wallets
        #[arg(required = true, num_args = 1..=5, value_parser = input::address)]
        reporters: Vec<Pubkey>,
    },
}

#[derive(Debug, Subcommand)]
enum SpendCommand {
    /// Say what a vault shall pay to whom
    Propose {
        vault: Vault,
        #[arg(value_parser = output::parse_aic, value_name = "AIC")]
        amount: u64,
        /// The wallet that is paid
        #[arg(long, value_parser = input::address)]
        to: Pubkey,
        /// A number that no other waiting spend of this vault has
        #[arg(long)]
        id: u32,
    },
    /// Pay a proposed spend whose day is over
    Execute { vault: Vault, id: u32 },
    /// Withdraw a proposed spend; the pause authority can, too
    Cancel { vault: Vault, id: u32 },
}

/// The vaults of the supply.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Vault {
    Treasury,
    Grants,
    Liquidity,
    Insurance,
}

impl From<Vault> for VaultKind {
    fn from(vault: Vault) -> Self {
        match vault {
            Vault::Treasury => Self::Treasury,
            Vault::Grants => Self::Grants,
            Vault::Liquidity => Self::Liquidity,
            Vault::Insurance => Self::Insurance,
        }
    }
}

/// Amounts in AIC base units.
#[derive(Serialize)]
struct VaultLine {
    vault: String,
    address: String,
    balance: u64,
    /// What the breaker lets out now without a delay.
    free_now: u64,
    last_hour: u64,
}

#[derive(Serialize)]
struct SpendLine {
    vault: String,
    id: u32,
    amount: u64,
    destination: String,
    /// Unix seconds.
    not_before: i64,
    expires: i64,
}

#[derive(Serialize)]
struct Overview {
    vaults: Vec<VaultLine>,
    spends: Vec<SpendLine>,
    team: String,
    team_paid: u64,
    release_start: i64,
}

#[derive(Serialize)]
struct ReleaseLine {
    day: u32,
    fees: u64,
    amount: u64,
    /// Unix seconds from which it can be paid; 0 when it was paid.
    due_at: i64,
    signature: String,
}

#[derive(Serialize)]
struct Done {
    what: String,
    signature: String,
}

pub async fn run(args: CoinArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        CoinCommand::Vaults => vaults(context).await,
        CoinCommand::Release { day } => release(day, context).await,
        CoinCommand::ReleaseTeam => release_team(context).await,
        CoinCommand::Burn => burn(context).await,
        CoinCommand::Spend { command } => spend(command, context).await,
        CoinCommand::SetReporters { reporters } => set_reporters(reporters, context).await,
    }
}

async fn config(context: &Context) -> anyhow::Result<CoinConfig> {
    Ok(context.chain.expect("coin configuration", &seeds::find_config().0, "run `waybill genesis` first").await?)
}

fn name(kind: VaultKind) -> String {
    format!("{kind:?}").to_lowercase()
}

async fn vaults(context: &Context) -> anyhow::Result<()> {
    let (config, now) = (config(context).await?, context.chain.unix_time().await?);
    let mut lines = Vec::new();
    for kind in VaultKind::ALL {
        let address = seeds::find_vault(kind).0;
        let balance = context.chain.token_balance(&address).await?;
        let breaker: Option<Breaker> = context.chain.account(&ix::coin::breaker(kind)).await?;
        let state = breaker.map_or_else(Outflow::default, |breaker| {
            Outflow { hour_aic: breaker.hour_aic, day_aic: breaker.day_aic, at: breaker.at }.decayed(now)
        });
        let floor = bps_floor(balance, waybill_chain::coin::constants::BREAKER_FLOOR_BPS);
        lines.push(VaultLine {
            vault: name(kind),
            address: address.to_string(),
            balance,
            free_now: state.threshold(floor).saturating_sub(state.hour_aic).min(balance),
            last_hour: state.hour_aic,
        });
    }
    let mut spends: Vec<(Pubkey, PendingSpend)> = context.chain.all(&waybill_chain::coin::ID).await?;
    spends.sort_by_key(|(_, spend)| (spend.kind as u8, spend.id));
    let spends = spends
        .into_iter()
        .map(|(_, spend)| SpendLine {
            vault: name(spend.kind),
            id: spend.id,
            amount: spend.amount,
            destination: spend.destination.to_string(),
            not_before: spend.not_before,
            expires: spend.expires,
        })
        .collect();
    let overview = Overview {
        vaults: lines,
        spends,
        team: config.team.to_string(),
        team_paid: config.team_paid_aic,
        release_start: config.release_start,
    };
    output::print(context.json, &overview, |overview| people(overview, now))
}

fn people(overview: &Overview, now: i64) -> String {
    let rows = overview.vaults.iter().map(|line| {
        vec![line.vault.clone(), output::aic(line.balance), output::aic(line.free_now), output::aic(line.last_hour)]
    });
    let mut text = output::table(&["vault", "holds, AIC", "free now, AIC", "left in the last hour, AIC"], rows);
    if !overview.spends.is_empty() {
        let rows = overview.spends.iter().map(|spend| {
            let when = match spend.not_before.saturating_sub(now) {
                wait if wait > 0 => format!("in {}", input::span_text(wait)),
                _ if now < spend.expires => "now".to_owned(),
                _ => "expired".to_owned(),
            };
            vec![spend.vault.clone(), spend.id.to_string(), output::aic(spend.amount), spend.destination.clone(), when]
        });
        text.push_str("\n\n");
        text.push_str(&output::table(&["spend from", "id", "AIC", "to account", "payable"], rows));
    }
    text
}

/// The days whose fees are final by now, newest last, no older than a month and the start of releases.
fn due_days(config: &CoinConfig, now: i64) -> std::ops::RangeInclusive<u32> {
    let day = |seconds: i64| u32::try_from(seconds.div_euclid(DAY_S)).unwrap_or(0);
    let last = day(now - RELEASE_AFTER_S).saturating_sub(1);
    day(config.release_start).max(last.saturating_sub(30))..=last
}

async fn release(day: Option<u32>, context: &Context) -> anyhow::Result<()> {
    let (config, now) = (config(context).await?, context.chain.unix_time().await?);
    if config.release_start == 0 {
        bail!("releases are not configured: the admin runs `waybill genesis` again");
    }
    let wallet = context.wallet()?;
    let days: Vec<u32> = match day {
        Some(day) => vec![day],
        None => due_days(&config, now).collect(),
    };
    let mut lines = Vec::new();
    for number in days {
        let record = seeds::find_release(number).0;
        let before: Option<Release> = context.chain.account(&record).await?;
        let waits = before.as_ref().is_some_and(|record| record.paid || record.due_at > now);
        let fees: Option<FeeDay> =
            context.chain.account(&waybill_chain::settlement::seeds::find_fee_day(number).0).await?;
        if day.is_none() && (waits || fees.is_none_or(|fees| fees.fee_aic < 2)) {
            continue;
        }
        let built = ix::coin::release(wallet.pubkey(), config.settlement, number);
        let signature =
            context.chain.send(&wallet, &[], &[built]).await.with_context(|| format!("releasing day {number}"))?;
        let after: Release = context.chain.expect("release", &record, "it was written a moment ago").await?;
        lines.push(ReleaseLine {
            day: number,
            fees: after.fee_aic,
            amount: after.amount_aic,
            due_at: after.due_at,
            signature: signature.to_string(),
        });
    }
    output::print(context.json, &lines, |lines| {
        if lines.is_empty() {
            return "no day is due: fees are final 48 hours after the end of their day".to_owned();
        }
        let rows = lines.iter().map(|line| {
            let state = if line.due_at == 0 {
                "paid".to_owned()
            } else {
                format!("above the breaker: payable in {}", input::span_text(line.due_at.saturating_sub(now)))
            };
            vec![line.day.to_string(), output::aic(line.fees), output::aic(line.amount), state]
        });
        output::table(&["day", "fees, AIC", "released, AIC", "state"], rows)
    })
}

async fn release_team(context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let before = config(context).await?;
    let to = ix::aic_account(&before.team);
    let instructions = [ix::create_aic_account(&wallet.pubkey(), &before.team), ix::coin::release_team(to)];
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let after = config(context).await?;
    let paid = after.team_paid_aic.saturating_sub(before.team_paid_aic);
    let what = if paid > 0 {
        format!("{} AIC went to {}", output::aic(paid), after.team)
    } else {
        "above the vault's breaker: run it again in 6 hours".to_owned()
    };
    finish(what, signature.to_string(), context)
}

async fn burn(context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let amount = context.chain.token_balance(&seeds::find_burn().0).await?;
    let signature = context.chain.send(&wallet, &[], &[ix::coin::burn_fees(wallet.pubkey())]).await?;
    finish(
        format!("{} AIC burned; more can be sent to {}", output::aic(amount), seeds::find_burn().0),
        signature.to_string(),
        context,
    )
}

async fn spend(command: SpendCommand, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let key = wallet.pubkey();
    let (what, instructions) = match command {
        SpendCommand::Propose { vault, amount, to, id } => {
            let account = ix::aic_account(&to);
            let propose = ix::coin::propose_spend(key, key, vault.into(), id, account, amount);
            let wait = input::span_text(SPEND_DELAY_S);
            let what = format!("{} AIC to {to} can be executed in {wait}", output::aic(amount));
            (what, vec![ix::create_aic_account(&key, &to), propose])
        }
        SpendCommand::Execute { vault, id } => {
            let spend = pending(vault, id, context).await?;
            let execute = ix::coin::execute_spend(key, vault.into(), id, spend.destination, spend.rent_payer);
            (format!("{} AIC are in {}", output::aic(spend.amount), spend.destination), vec![execute])
        }
        SpendCommand::Cancel { vault, id } => {
            let spend = pending(vault, id, context).await?;
            let cancel = ix::coin::cancel_spend(key, vault.into(), id, spend.rent_payer);
            (format!("the spend of {} AIC is withdrawn", output::aic(spend.amount)), vec![cancel])
        }
    };
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    finish(what, signature.to_string(), context)
}

async fn pending(vault: Vault, id: u32, context: &Context) -> anyhow::Result<PendingSpend> {
    let address = seeds::find_spend(vault.into(), id).0;
    Ok(context.chain.expect("proposed spend", &address, "`waybill coin vaults` lists those that wait").await?)
}

async fn set_reporters(reporters: Vec<Pubkey>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let rate: Rate = context.chain.expect("AIC rate", &seeds::find_rate().0, "run `waybill genesis` first").await?;
    let n = usize::from(rate.n_reporters);
    if rate.reporters.get(..n).is_some_and(|present| present == reporters) {
        bail!("these wallets report the rate already");
    }
    let count = reporters.len();
    let signature = context.chain.send(&wallet, &[], &[ix::coin::set_reporters(wallet.pubkey(), reporters)]).await?;
    finish(
        format!("{count} wallets report the rate; what was submitted before is void"),
        signature.to_string(),
        context,
    )
}

fn finish(what: String, signature: String, context: &Context) -> anyhow::Result<()> {
    output::print(context.json, &Done { what, signature }, |done| done.what.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_chain::coin::authority::{Authorities, PendingAuthority};

    fn started(release_start: i64) -> CoinConfig {
        let key = Pubkey::default();
        CoinConfig {
            version: 1,
            bump: 0,
            mint_bump: 0,
            vault_bumps: [0; 6],
            vaults: 0,
            minted: true,
            revoked: true,
            pause_flags: 0,
            mint: key,
            authorities: Authorities { admin: key, params: key, pause: key, resume: key },
            pending: PendingAuthority::none(),
            seq: 0,
            rent_payer: key,
            settlement: key,
            team: key,
            release_start,
            team_paid_aic: 0,
            team_due_at: 0,
            _reserved: [0; 40],
        }
    }

    #[test]
    fn a_day_is_due_48_hours_after_its_end() {
        let day_100 = 100 * DAY_S;
        let due = |now| due_days(&started(day_100 + 5), now).collect::<Vec<_>>();
        assert!(due(day_100 + 3 * DAY_S - 1).is_empty());
        assert_eq!(due(day_100 + 3 * DAY_S), [100]);
        assert_eq!(due(day_100 + 5 * DAY_S), [100, 101, 102]);
        assert_eq!(due(day_100 + 90 * DAY_S).len(), 31);
    }
}
