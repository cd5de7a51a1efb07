//! `waybill stake`: what answers for a party, put in and taken out again after the unbonding time.

use crate::{
    commands::{
        party::{PartyLine, parties_of},
        wallet::require_aic,
    },
    context::Context,
    genesis, input, output, role,
};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    ix,
    market::{
        self,
        state::{MarketConfig, Party, Role, Tier},
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill stake add provider 1000\n  waybill stake withdraw provider 250     starts the unbonding time\n  waybill stake finish provider           after it\n  waybill stake tier campus                 ten times a provider's minimum\n  waybill stake show provider"
)]
pub struct StakeArgs {
    #[command(subcommand)]
    command: StakeCommand,
}

#[derive(Debug, Subcommand)]
enum StakeCommand {
    /// Add to the stake of a role
    Add {
        #[arg(value_parser = role::parse)]
        role: Role,
        #[arg(value_parser = output::parse_aic, value_name = "AIC")]
        amount: u64,
    },
    /// Begin to take stake out; it answers for the party until it has left
    Withdraw {
        #[arg(value_parser = role::parse)]
        role: Role,
        #[arg(value_parser = output::parse_aic, value_name = "AIC")]
        amount: u64,
    },
    /// Pay out what has finished unbonding
    Finish {
        #[arg(value_parser = role::parse)]
        role: Role,
    },
    /// Take another tier as a provider; a higher one needs more stake
    Tier {
        /// home, campus or data-center
        #[arg(value_enum)]
        tier: TierName,
    },
    /// Show what is at stake
    Show {
        /// Only this role
        #[arg(value_parser = role::parse)]
        role: Option<Role>,
        /// Whose [default: the wallet that signs]
        #[arg(long, value_parser = input::address)]
        owner: Option<Pubkey>,
    },
}

/// How much a provider puts at stake.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TierName {
    /// A machine at home
    Home,
    /// A machine room: ten times the minimum
    Campus,
    /// A data centre: a hundred times the minimum
    DataCenter,
}

impl TierName {
    fn tier(self) -> Tier {
        match self {
            Self::Home => Tier::Home,
            Self::Campus => Tier::Campus,
            Self::DataCenter => Tier::DataCenter,
        }
    }
}

/// Amounts in AIC base units.
#[derive(Serialize)]
struct Changed {
    #[serde(flatten)]
    party: PartyLine,
    min_stake: u64,
    signature: String,
}

pub async fn run(args: StakeArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        StakeCommand::Add { role, amount } => add(role, amount, context).await,
        StakeCommand::Withdraw { role, amount } => withdraw(role, amount, context).await,
        StakeCommand::Finish { role } => finish(role, context).await,
        StakeCommand::Tier { tier } => set_tier(tier, context).await,
        StakeCommand::Show { role, owner } => show(role, owner, context).await,
    }
}

/// The party of this wallet in a role.
async fn party(owner: &Pubkey, role: Role, context: &Context) -> anyhow::Result<Party> {
    let name = role::name(role);
    match context.chain.account(&market::seeds::find_party(owner, role).0).await? {
        Some(party) => Ok(party),
        None => bail!("{owner} is not registered as {name}; `waybill party register {name}` does that"),
    }
}

async fn changed(owner: &Pubkey, role: Role, signature: String, context: &Context) -> anyhow::Result<Changed> {
    let party = PartyLine::of(&party(owner, role, context).await?);
    Ok(Changed { party, min_stake: genesis::min_stake(&context.chain, role).await?, signature })
}

async fn add(role: Role, amount: u64, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    party(&owner, role, context).await?;
    require_aic(context, &owner, amount).await?;
    let signature = context.chain.send(&wallet, &[], &[ix::market::add_stake(owner, role, amount)]).await?;
    let done = changed(&owner, role, signature.to_string(), context).await?;
    output::print(context.json, &done, |done| {
        format!("{} has {} AIC at stake as {}", done.party.owner, output::aic(done.party.stake), done.party.role)
    })
}

async fn withdraw(role: Role, amount: u64, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let before = party(&owner, role, context).await?;
    if amount > before.stake {
        bail!("{} AIC are at stake, {} cannot be taken out", output::aic(before.stake), output::aic(amount));
    }
    let signature = context.chain.send(&wallet, &[], &[ix::market::begin_unstake(owner, role, amount)]).await?;
    let done = changed(&owner, role, signature.to_string(), context).await?;
    let now = context.chain.unix_time().await?;
    output::print(context.json, &done, |done| {
        let party = &done.party;
        let wait = input::span_text(party.unbonding_until.unwrap_or(now) - now);
        let mut said = format!(
            "{} AIC are unbonding; in {wait} take them with: waybill stake finish {}",
            output::aic(party.unbonding),
            party.role
        );
        if party.stake < done.min_stake {
            said.push_str(&format!(
                "\nwhat stays ({} AIC) is below the minimum of {} AIC: no new work",
                output::aic(party.stake),
                output::aic(done.min_stake)
            ));
        }
        said
    })
}

async fn finish(role: Role, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let before = party(&owner, role, context).await?;
    let now = context.chain.unix_time().await?;
    if before.unbonding == 0 {
        bail!("nothing is unbonding; `waybill stake withdraw {} AIC` begins", role::name(role));
    }
    if now < before.unbonding_until {
        bail!(
            "{} AIC are still unbonding for {}",
            output::aic(before.unbonding),
            input::span_text(before.unbonding_until - now)
        );
    }
    let instructions = [ix::create_aic_account(&owner, &owner), ix::market::finish_unstake(owner, role)];
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let done = changed(&owner, role, signature.to_string(), context).await?;
    output::print(context.json, &done, |done| {
        format!("{} AIC are back in {}", output::aic(before.unbonding), done.party.owner)
    })
}

async fn set_tier(name: TierName, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let before = party(&owner, Role::Provider, context).await?;
    let config: MarketConfig = context
        .chain
        .expect("market configuration", &market::seeds::find_config().0, "run `waybill genesis` first")
        .await?;
    let minimum = config.params.min_stake_of(Role::Provider, name.tier())?;
    if before.stake < minimum {
        bail!(
            "this tier needs {} AIC at stake, there are {}; `waybill stake add provider {}` adds what is missing",
            output::aic(minimum),
            output::aic(before.stake),
            output::aic(minimum - before.stake)
        );
    }
    let signature = context.chain.send(&wallet, &[], &[ix::books::set_tier(owner, name.tier())]).await?;
    let party = PartyLine::of(&party(&owner, Role::Provider, context).await?);
    let done = Changed { party, min_stake: minimum, signature: signature.to_string() };
    output::print(context.json, &done, |done| {
        format!("{} is in this tier now; its minimum is {} AIC", done.party.owner, output::aic(done.min_stake))
    })
}

async fn show(role: Option<Role>, owner: Option<Pubkey>, context: &Context) -> anyhow::Result<()> {
    let owner = match owner {
        Some(owner) => owner,
        None => context.wallet()?.pubkey(),
    };
    let mut parties = parties_of(&owner, context).await?;
    parties.retain(|party| role.is_none_or(|role| party.role == role));
    let lines: Vec<PartyLine> = parties.iter().map(PartyLine::of).collect();
    output::print(context.json, &lines, |lines| PartyLine::table(lines))
}
