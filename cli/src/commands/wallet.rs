//! `waybill wallet`: a wallet in Solana's standard format and place, its balance, sending AIC.

use crate::{
    context::{Context, write_keypair},
    input, output,
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::path::PathBuf;
use waybill_chain::ix;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill wallet new\n  waybill wallet balance\n  waybill wallet airdrop 2                     on a local or test cluster\n  waybill wallet send 7Xk…9fQ 250.5            250.5 AIC"
)]
pub struct WalletArgs {
    #[command(subcommand)]
    command: WalletCommand,
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Make a new wallet; an existing file is never overwritten
    New {
        /// Where to write it [default: the file named by --keypair, else ~/.config/solana/id.json]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the wallet's address
    Address,
    /// Print how much SOL and AIC a wallet has
    Balance {
        /// Whose [default: the wallet that signs]
        #[arg(value_parser = input::address)]
        address: Option<Pubkey>,
    },
    /// Ask a local or test cluster for SOL
    Airdrop {
        #[arg(value_parser = input::sol)]
        sol: u64,
    },
    /// Send AIC; makes the recipient's AIC account where there is none
    Send {
        /// The recipient's wallet
        #[arg(value_parser = input::address)]
        to: Pubkey,
        #[arg(value_parser = output::parse_aic, value_name = "AIC")]
        amount: u64,
    },
}

#[derive(Serialize)]
struct Made {
    address: String,
    file: PathBuf,
}

#[derive(Serialize)]
struct Address {
    address: String,
}

/// Amounts in the smallest units.
#[derive(Serialize)]
struct Balance {
    address: String,
    lamports: u64,
    aic: u64,
}

#[derive(Serialize)]
struct Moved {
    to: String,
    amount: u64,
    signature: String,
}

pub async fn run(args: WalletArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        WalletCommand::New { out } => new(out, context),
        WalletCommand::Address => {
            let address = Address { address: context.wallet()?.pubkey().to_string() };
            output::print(context.json, &address, |address| address.address.clone())
        }
        WalletCommand::Balance { address } => balance(address, context).await,
        WalletCommand::Airdrop { sol } => airdrop(sol, context).await,
        WalletCommand::Send { to, amount } => send(to, amount, context).await,
    }
}

fn new(out: Option<PathBuf>, context: &Context) -> anyhow::Result<()> {
    let file = match out {
        Some(file) => file,
        None => context.keypair_path()?,
    };
    let key = Keypair::new();
    write_keypair(&file, &key)?;
    let made = Made { address: key.pubkey().to_string(), file };
    output::print(context.json, &made, |made| {
        format!("wallet {} in {}; whoever has this file has its money", made.address, made.file.display())
    })
}

async fn balance(address: Option<Pubkey>, context: &Context) -> anyhow::Result<()> {
    let address = match address {
        Some(address) => address,
        None => context.wallet()?.pubkey(),
    };
    let balance = Balance {
        address: address.to_string(),
        lamports: context.chain.lamports(&address).await?,
        aic: context.chain.token_balance(&ix::aic_account(&address)).await?,
    };
    output::print(context.json, &balance, |balance| {
        format!("{} SOL\n{} AIC", output::aic(balance.lamports), output::aic(balance.aic))
    })
}

async fn airdrop(lamports: u64, context: &Context) -> anyhow::Result<()> {
    let to = context.wallet()?.pubkey();
    let signature = context.chain.airdrop(&to, lamports).await.context("only local and test clusters give SOL away")?;
    let moved = Moved { to: to.to_string(), amount: lamports, signature: signature.to_string() };
    output::print(context.json, &moved, |moved| format!("asked for {} SOL for {}", output::aic(moved.amount), moved.to))
}

async fn send(to: Pubkey, amount: u64, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let from = wallet.pubkey();
    if amount == 0 {
        bail!("0 AIC cannot be sent: name an amount above zero");
    }
    require_aic(context, &from, amount).await?;
    let instructions = [ix::create_aic_account(&from, &to), ix::transfer_aic(&from, &ix::aic_account(&to), amount)];
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let moved = Moved { to: to.to_string(), amount, signature: signature.to_string() };
    output::print(context.json, &moved, |moved| {
        format!("sent {} AIC to {}\n{}", output::aic(moved.amount), moved.to, moved.signature)
    })
}

/// Refuses early, in words, what the token program would refuse with a number.
pub async fn require_aic(context: &Context, wallet: &Pubkey, amount: u64) -> anyhow::Result<()> {
    let held = context.chain.token_balance(&ix::aic_account(wallet)).await?;
    if held < amount {
        bail!("the wallet {wallet} holds {} AIC, {} are needed", output::aic(held), output::aic(amount));
    }
    Ok(())
}
