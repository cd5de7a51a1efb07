//! `waybill party`: registers a wallet for a role and lists who has one.

use crate::{commands::wallet::require_aic, context::Context, genesis, input, output, role};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    ix,
    market::{
        self,
        state::{Party, Role, Tier},
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill party register provider --stake 1000\n  waybill party list --role gateway\n  waybill party show                    the roles of this wallet"
)]
pub struct PartyArgs {
    #[command(subcommand)]
    command: PartyCommand,
}

#[derive(Debug, Subcommand)]
enum PartyCommand {
    /// Register this wallet for a role
    Register {
        /// vendor, oem, provider, curator, weaver, gateway or verifier
        #[arg(value_parser = role::parse)]
        role: Role,
        /// AIC to stake at once; a party works only with its role's minimum
        #[arg(long, value_parser = output::parse_aic, value_name = "AIC")]
        stake: Option<u64>,
    },
    /// List who has a role
    List {
        /// Only this role
        #[arg(long, value_parser = role::parse)]
        role: Option<Role>,
    },
    /// Show the roles of one wallet
    Show {
        /// Whose [default: the wallet that signs]
        #[arg(value_parser = input::address)]
        owner: Option<Pubkey>,
    },
}

#[derive(Serialize)]
struct Registered {
    role: &'static str,
    party: String,
    owner: String,
    /// AIC base units.
    staked: u64,
    min_stake: u64,
    signature: String,
}

/// One party; amounts in AIC base units.
#[derive(Serialize)]
pub struct PartyLine {
    pub role: &'static str,
    pub owner: String,
    pub stake: u64,
    pub unbonding: u64,
    /// Unix seconds; none when nothing is on its way out.
    pub unbonding_until: Option<i64>,
    pub banned: bool,
    /// Takes no new work before this moment, Unix seconds; none when it was never jailed.
    pub jailed_until: Option<i64>,
    /// home, campus or data-center; none but for a provider.
    pub tier: Option<&'static str>,
}

impl PartyLine {
    pub fn of(party: &Party) -> Self {
        Self {
            role: role::name(party.role),
            owner: party.owner.to_string(),
            stake: party.stake,
            unbonding: party.unbonding,
            unbonding_until: (party.unbonding > 0).then_some(party.unbonding_until),
            banned: party.banned,
            jailed_until: (party.jailed_until > 0).then_some(party.jailed_until),
            tier: (party.role == Role::Provider).then_some(match party.tier {
                Tier::Home => "home",
                Tier::Campus => "campus",
                Tier::DataCenter => "data-center",
            }),
        }
    }

    pub fn table(lines: &[Self]) -> String {
        if lines.is_empty() {
            return "none".to_owned();
        }
        let rows = lines.iter().map(|line| {
            let state = match (line.banned, line.jailed_until, line.tier) {
                (true, ..) => "banned".to_owned(),
                (_, Some(until), _) => format!("jailed until {until}"),
                (.., tier) => tier.unwrap_or_default().to_owned(),
            };
            vec![line.role.to_owned(), line.owner.clone(), output::aic(line.stake), output::aic(line.unbonding), state]
        });
        output::table(&["role", "owner", "stake, AIC", "unbonding, AIC", ""], rows)
    }
}

pub async fn run(args: PartyArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        PartyCommand::Register { role, stake } => register(role, stake, context).await,
        PartyCommand::List { role } => {
            let mut parties: Vec<(Pubkey, Party)> = context.chain.all(&market::ID).await?;
            parties.retain(|(_, party)| role.is_none_or(|role| party.role == role));
            print(parties.into_iter().map(|(_, party)| party).collect(), context)
        }
        PartyCommand::Show { owner } => {
            let owner = match owner {
                Some(owner) => owner,
                None => context.wallet()?.pubkey(),
            };
            print(parties_of(&owner, context).await?, context)
        }
    }
}

fn print(mut parties: Vec<Party>, context: &Context) -> anyhow::Result<()> {
    parties.sort_by_key(|party| (party.role as u8, party.owner));
    let lines: Vec<PartyLine> = parties.iter().map(PartyLine::of).collect();
    output::print(context.json, &lines, |lines| PartyLine::table(lines))
}

/// The parties of one wallet, in the order of roles.
pub async fn parties_of(owner: &Pubkey, context: &Context) -> anyhow::Result<Vec<Party>> {
    let addresses = role::ROLES.map(|role| market::seeds::find_party(owner, role).0);
    let parties: Vec<Option<Party>> = context.chain.accounts(&addresses).await?;
    Ok(parties.into_iter().flatten().collect())
}

async fn register(role: Role, stake: Option<u64>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let party = market::seeds::find_party(&owner, role).0;
    let name = role::name(role);
    if context.chain.account::<Party>(&party).await?.is_some() {
        bail!("{owner} is registered as {name} already; `waybill stake add {name} AIC` adds to its stake");
    }
    let mut instructions = vec![ix::market::register_party(owner, owner, role)];
    let staked = stake.unwrap_or(0);
    if staked > 0 {
        require_aic(context, &owner, staked).await?;
        instructions.push(ix::market::add_stake(owner, role, staked));
    }
    let min_stake = genesis::min_stake(&context.chain, role).await?;
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let done = Registered {
        role: name,
        party: party.to_string(),
        owner: owner.to_string(),
        staked,
        min_stake,
        signature: signature.to_string(),
    };
    output::print(context.json, &done, |done| {
        let said =
            format!("{} is registered as {} with a stake of {} AIC", done.owner, done.role, output::aic(done.staked));
        if done.staked >= done.min_stake {
            return said;
        }
        let missing = output::aic(done.min_stake - done.staked);
        format!(
            "{said}; it works from {} AIC on: waybill stake add {} {missing}",
            output::aic(done.min_stake),
            done.role
        )
    })
}
