//! One module a command. Each reads its arguments, does one thing and prints one result.

pub mod artifact;
pub mod ask;
mod ask_history;
pub mod audit;
mod audit_case;
mod audit_class;
mod audit_verifiers;
pub mod bounty;
pub mod channel;
pub mod coin;
pub mod container;
pub mod dispute;
pub mod earnings;
pub mod gateway;
pub mod genesis;
pub mod key;
pub mod lineage;
pub mod localnet;
pub mod market;
mod market_history;
pub mod offer;
pub mod params;
pub mod party;
pub mod promote;
pub mod receipt;
pub mod scheduler;
pub mod simulate;
pub mod stake;
pub mod wallet;
pub mod worker;

use crate::{
    args::{Args, Command},
    context::Context,
};

pub async fn run(args: Args) -> anyhow::Result<()> {
    let context = Context::new(&args.global);
    match args.command {
        Command::Up(args) => crate::up::run(args, context.json).await,
        Command::Localnet(args) => localnet::run(args, &context).await,
        Command::Gateway(args) => gateway::run(args, &context).await,
        Command::Scheduler(args) => scheduler::run(args, &context).await,
        Command::Worker(args) => worker::run(args, &context).await,
        Command::Genesis(args) => genesis::run(args, &context).await,
        Command::Wallet(args) => wallet::run(args, &context).await,
        Command::Stake(args) => stake::run(args, &context).await,
        Command::Party(args) => party::run(args, &context).await,
        Command::Artifact(args) => artifact::run(args, &context).await,
        Command::Container(args) => container::run(args, &context).await,
        Command::Ask(args) => ask::run(args, &context).await,
        Command::Market(args) => market::run(args, &context).await,
        Command::Bounty(args) => bounty::run(args, &context).await,
        Command::Offer(args) => offer::run(args, &context).await,
        Command::Params(args) => params::run(args, &context).await,
        Command::Promote(args) => promote::run(args, &context).await,
        Command::Channel(args) => channel::run(args, &context).await,
        Command::Key(args) => key::run(args, &context).await,
        Command::Audit(args) => audit::run(args, &context).await,
        Command::Receipt(args) => receipt::run(args, &context).await,
        Command::Simulate(args) => simulate::run(&args, context.json),
        Command::Dispute(args) => dispute::run(args, &context).await,
        Command::Earnings(args) => earnings::run(args, &context).await,
        Command::Coin(args) => coin::run(args, &context).await,
    }
}
