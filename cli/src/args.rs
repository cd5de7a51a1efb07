//! The command line. What stands here is what `waybill --help` shows.

use crate::commands;
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// A logistics network for AI models: run it, earn on it, pay with it.
#[derive(Debug, Parser)]
#[command(
    name = "waybill",
    version,
    propagate_version = true,
    after_help = "Examples:\n  waybill up                         a whole network on this machine, with two workers and a funded consumer\n  waybill receipt verify req-…       check a receipt against the chain\n  waybill stake show provider        what a provider has at stake"
)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, ClapArgs)]
pub struct Global {
    /// JSON-RPC endpoint of the chain
    #[arg(long, global = true, env = "WAYBILL_RPC", default_value = "http://127.0.0.1:8899", value_name = "URL")]
    pub rpc: String,
    /// Solana keypair file of the wallet that signs [default: ~/.config/solana/id.json]
    #[arg(long, global = true, env = "WAYBILL_KEYPAIR", value_name = "FILE")]
    pub keypair: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// What to log to standard error, such as `info` or `waybill_scheduler=debug`
    #[arg(long, global = true, env = "WAYBILL_LOG", default_value = "warn", value_name = "FILTER")]
    pub log: String,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole network on this machine
    Up(crate::up::UpArgs),
    /// Run a local chain
    Localnet(commands::localnet::LocalnetArgs),
    /// Run a gateway: the REST entrance
    Gateway(commands::gateway::GatewayArgs),
    /// Run a scheduler: worker sessions, dispatch and settlement
    Scheduler(commands::scheduler::SchedulerArgs),
    /// Run, install or register a worker
    Worker(commands::worker::WorkerArgs),
    /// Bring a network into being on a cluster
    Genesis(commands::genesis::GenesisArgs),
    /// Create a wallet, show it, send AIC
    Wallet(commands::wallet::WalletArgs),
    /// Stake AIC for a role, and take it back
    Stake(commands::stake::StakeArgs),
    /// Register for a role and list who has one
    Party(commands::party::PartyArgs),
    /// Register a model file
    Artifact(commands::artifact::ArtifactArgs),
    /// Publish a container
    Container(commands::container::ContainerArgs),
    /// Ask a price for a model or a workflow
    Ask(commands::ask::AskArgs),
    /// Show the books of capacity and clear them
    Market(commands::market::MarketArgs),
    /// Show and change the market's parameters
    Params(commands::params::ParamsArgs),
    /// Add to the share of a curator that brings consumers
    Bounty(commands::bounty::BountyArgs),
    /// Offer a worker's capacity
    Offer(commands::offer::OfferArgs),
    /// Promote a container: campaigns, bids for slots, what they spent
    Promote(commands::promote::PromoteArgs),
    /// Open, fund and close a prepaid channel
    Channel(commands::channel::ChannelArgs),
    /// Create, list and revoke API keys
    Key(commands::key::KeyArgs),
    /// Show a receipt, and verify it against the chain
    Receipt(commands::receipt::ReceiptArgs),
    /// Drawn receipts, what verifiers said of them, and the same re-execution on this machine
    Audit(commands::audit::AuditArgs),
    /// Simulate the market: shares, prices, shocks and attacks
    Simulate(commands::simulate::SimulateArgs),
    /// Accuse a gateway, answer, and end disputes
    Dispute(commands::dispute::DisputeArgs),
    /// Show and withdraw what a wallet earned
    Earnings(commands::earnings::EarningsArgs),
    /// Show the vaults of the supply, release, burn, propose spends
    Coin(commands::coin::CoinArgs),
}
