//! `waybill offer`: puts the capacity of a worker into a market's book.

use crate::{context::Context, input, output};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use std::collections::HashMap;
use waybill_chain::{
    ix,
    market::{
        self,
        constants::TICKS,
        state::{Market, Offer},
    },
};
use waybill_mechanism::clearing;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill offer post --worker 9vK…3hA --market 1 --tick 2 --capacity 400000\n  waybill offer post --worker 9vK…3hA --market 1 --tick 2 --capacity 0       takes it out\n  waybill offer list"
)]
pub struct OfferArgs {
    #[command(subcommand)]
    command: OfferCommand,
}

#[derive(Debug, Subcommand)]
enum OfferCommand {
    /// Post or change what a worker offers; signed by its operator
    Post {
        /// The worker's key
        #[arg(long, value_parser = input::address)]
        worker: Pubkey,
        /// Number of the market
        #[arg(long)]
        market: u32,
        /// The lowest price it serves at, as a step of the market's book, 0 to 63
        #[arg(long)]
        tick: u8,
        /// Billable units per pricing epoch; 0 takes the offer out
        #[arg(long)]
        capacity: u64,
    },
    /// List all offers
    List,
}

#[derive(Serialize)]
struct OfferLine {
    worker: String,
    market: u32,
    tick: u8,
    /// Nano-credits per 1,000 billable units at this tick.
    tick_nc: Option<u64>,
    capacity: u64,
}

impl OfferLine {
    fn of(offer: &Offer, market: &Market) -> Self {
        let prices = clearing::ticks(market.tick0_nc, TICKS, market.tick_ratio_bps).unwrap_or_default();
        Self {
            worker: offer.worker.to_string(),
            market: market.id,
            tick: offer.tick,
            tick_nc: prices.get(usize::from(offer.tick)).copied(),
            capacity: offer.capacity,
        }
    }
}

pub async fn run(args: OfferArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        OfferCommand::Post { worker, market, tick, capacity } => post(worker, market, tick, capacity, context).await,
        OfferCommand::List => list(context).await,
    }
}

async fn post(worker: Pubkey, id: u32, tick: u8, capacity: u64, context: &Context) -> anyhow::Result<()> {
    if usize::from(tick) >= TICKS {
        bail!("there is no tick {tick}: a book has ticks 0 to {}", TICKS - 1);
    }
    let operator = context.wallet()?;
    let address = market::seeds::find_market(id).0;
    let market: Market = context.chain.expect("market", &address, "check the number").await?;
    let post = ix::market::post_offer(operator.pubkey(), operator.pubkey(), worker, id, tick, capacity);
    context.chain.send(&operator, &[], &[post]).await?;
    let offer: Offer = context
        .chain
        .expect("offer", &market::seeds::find_offer(&address, &worker).0, "it was posted a moment ago")
        .await?;
    output::print(context.json, &OfferLine::of(&offer, &market), |line| {
        let price = line.tick_nc.map_or_else(String::new, |nc| format!(" from {nc} nc per 1,000 units on"));
        format!("{} offers {} units per pricing epoch in market {}{price}", line.worker, line.capacity, line.market)
    })
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let markets: Vec<(Pubkey, Market)> = context.chain.all(&market::ID).await?;
    let markets: HashMap<Pubkey, Market> = markets.into_iter().collect();
    let offers: Vec<(Pubkey, Offer)> = context.chain.all(&market::ID).await?;
    let known = offers.iter().filter_map(|(_, offer)| Some(OfferLine::of(offer, markets.get(&offer.market)?)));
    let mut lines: Vec<OfferLine> = known.collect();
    lines.sort_by(|a, b| (a.market, a.tick, &a.worker).cmp(&(b.market, b.tick, &b.worker)));
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            let price = line.tick_nc.map_or_else(String::new, |nc| nc.to_string());
            vec![line.market.to_string(), line.worker.clone(), line.tick.to_string(), price, line.capacity.to_string()]
        });
        output::table(&["market", "worker", "tick", "nc/1,000", "capacity"], rows)
    })
}
