//! `waybill ask`: what a vendor, OEM or weaver wants per 1,000 billable units.

use crate::{commands::ask_history, context::Context, lookup, output, role};
use anchor_lang::prelude::Pubkey;
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    ix,
    market::{
        self,
        state::{Ask, Role},
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill ask post vendor 5ab1…e0 2600          a model, by the SHA-256 of its file\n  waybill ask post weaver smollm2-135m-instruct 1200\n  waybill ask list\n  waybill ask history smollm2-135m-instruct --plot shares.svg\n\nAn ask moves in steps of at most a few per cent per pricing epoch, and with notice: post again to go further."
)]
pub struct AskArgs {
    #[command(subcommand)]
    command: AskCommand,
}

#[derive(Debug, Subcommand)]
enum AskCommand {
    /// Post an ask, or move it one step towards a new one
    Post {
        /// vendor, oem or weaver
        #[arg(value_parser = role::parse)]
        role: Role,
        /// SHA-256 of a model (vendor, oem), name or id of a container (weaver)
        subject: String,
        /// Nano-credits per 1,000 billable units; 1,000,000,000 are one US dollar
        nc: u64,
    },
    /// List all asks
    List,
    /// Show the price of a container and who got which share of it, by pricing epoch
    History(ask_history::HistoryArgs),
    /// Show one ask
    Show {
        /// vendor, oem or weaver
        #[arg(value_parser = role::parse)]
        role: Role,
        /// SHA-256 of a model (vendor, oem), name or id of a container (weaver)
        subject: String,
    },
}

#[derive(Serialize)]
struct AskLine {
    role: &'static str,
    owner: String,
    subject: String,
    /// Nano-credits per 1,000 billable units in the present pricing epoch.
    ask_nc: u64,
    /// What it becomes, from a pricing epoch on.
    next_nc: Option<u64>,
    next_from: Option<u32>,
    pricing_epoch: u32,
}

impl AskLine {
    fn of(ask: &Ask, pricing_epoch: u32) -> Self {
        let pending = ask.pending_epoch > pricing_epoch;
        Self {
            role: role::name(ask.role),
            owner: ask.owner.to_string(),
            subject: hex::encode(ask.subject),
            ask_nc: ask.at(pricing_epoch),
            next_nc: pending.then_some(ask.pending_nc),
            next_from: pending.then_some(ask.pending_epoch),
            pricing_epoch,
        }
    }

    fn text(&self) -> String {
        let now = format!("{} asks {} nc per 1,000 units for {}", self.role, self.ask_nc, self.subject);
        match (self.next_nc, self.next_from) {
            (Some(nc), Some(from)) => {
                format!("{now}; {nc} nc from pricing epoch {from} on (now {})", self.pricing_epoch)
            }
            _ => now,
        }
    }
}

pub async fn run(args: AskArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        AskCommand::Post { role, subject, nc } => {
            let wallet = context.wallet()?;
            let subject = lookup::subject(&context.chain, role, &subject).await?;
            let post = ix::market::post_ask(wallet.pubkey(), wallet.pubkey(), role, subject, nc);
            context.chain.send(&wallet, &[], &[post]).await?;
            show(role, subject, context).await
        }
        AskCommand::Show { role, subject } => {
            let subject = lookup::subject(&context.chain, role, &subject).await?;
            show(role, subject, context).await
        }
        AskCommand::List => list(context).await,
        AskCommand::History(args) => ask_history::run(args, context).await,
    }
}

async fn show(role: Role, subject: [u8; 32], context: &Context) -> anyhow::Result<()> {
    let ask: Ask =
        context.chain.expect("ask", &market::seeds::find_ask(&subject, role).0, "`waybill ask post` makes one").await?;
    let line = AskLine::of(&ask, lookup::pricing_epoch(&context.chain).await?);
    output::print(context.json, &line, AskLine::text)
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let asks: Vec<(Pubkey, Ask)> = context.chain.all(&market::ID).await?;
    let now = lookup::pricing_epoch(&context.chain).await?;
    let mut lines: Vec<AskLine> = asks.iter().map(|(_, ask)| AskLine::of(ask, now)).collect();
    lines.sort_by(|a, b| (&a.subject, a.role).cmp(&(&b.subject, b.role)));
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            let next = line.next_nc.map_or_else(String::new, |nc| nc.to_string());
            vec![line.role.to_owned(), line.subject.clone(), line.ask_nc.to_string(), next, line.owner.clone()]
        });
        output::table(&["role", "subject", "nc/1,000", "next", "owner"], rows)
    })
}
