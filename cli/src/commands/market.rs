//! `waybill market`: the books of capacity, their base prices and demand, and what may be cleared out of them.

use crate::{commands::market_history, context::Context, lookup, output};
use anchor_lang::prelude::Pubkey;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::HashMap;
use waybill_chain::{
    Chain, ix,
    market::{
        self,
        constants::{THIN_OWNERS, TICKS},
        state::{BookParams, Market, MarketConfig, Node, Offer, Party, Role, Seat},
    },
};
use waybill_mechanism::clearing;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill market list\n  waybill market show 1\n  waybill market history 1 --plot prices.svg\n  waybill market roll 1            what the scheduler does once per pricing epoch\n  waybill market tidy              takes out what can no longer be served"
)]
pub struct MarketArgs {
    #[command(subcommand)]
    command: MarketCommand,
}

#[derive(Debug, Subcommand)]
enum MarketCommand {
    /// List the markets with price, demand and capacity
    List,
    /// Show the book of one market
    Show {
        /// Number of the market
        market: u32,
    },
    /// Show the base price of a market and what containers on it charged, by pricing epoch
    History(market_history::HistoryArgs),
    /// Clear a market's book for the next pricing epoch; anyone may, once
    Roll {
        /// Number of the market
        market: u32,
    },
    /// Take offers out that can no longer be served, and end seats without offers; their rent goes to who paid it
    Tidy {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// Prices in nano-credits per 1,000 billable units, demand and capacity in units per pricing epoch.
#[derive(Serialize)]
struct MarketLine {
    market: u32,
    region: String,
    class: u16,
    base_nc: u64,
    /// The base of the next pricing epoch, once the book is cleared.
    next_nc: Option<u64>,
    demand: u64,
    /// What gateways have reported in this pricing epoch.
    observed: Option<u64>,
    capacity: u64,
    owners: u32,
    floor_nc: u64,
    reserve_nc: u64,
}

impl MarketLine {
    fn of(market: &Market, pricing_epoch: u32) -> Self {
        Self {
            market: market.id,
            region: String::from_utf8_lossy(&market.region).trim_end_matches('\0').to_owned(),
            class: market.class,
            base_nc: market.base_at(pricing_epoch),
            next_nc: (market.next_epoch > pricing_epoch).then_some(market.next_nc),
            demand: market.demand,
            observed: (market.observed_epoch == pricing_epoch && market.observers > 0).then_some(market.observed),
            capacity: market.cap.iter().fold(0, |sum, cap| sum.saturating_add(*cap)),
            owners: market.owners,
            floor_nc: market.floor_nc,
            reserve_nc: market.reserve_nc,
        }
    }
}

/// One step of a book that has capacity.
#[derive(Serialize)]
struct TickLine {
    tick: usize,
    nc: u64,
    capacity: u64,
    /// Capacity up to and with this tick.
    supply: u64,
    /// The book clears here at the demand and headroom of now.
    marginal: bool,
}

#[derive(Serialize)]
struct Book {
    #[serde(flatten)]
    market: MarketLine,
    /// With fewer owners the price follows the utilisation instead of the marginal tick.
    thin: bool,
    ticks: Vec<TickLine>,
}

#[derive(Serialize)]
struct Rolled {
    market: u32,
    signature: String,
    demand: u64,
    old_nc: u64,
    next_nc: u64,
    next_epoch: u32,
}

#[derive(Serialize)]
struct Tidied {
    /// Workers whose offers went, with the market's number.
    offers: Vec<(u32, String)>,
    /// Owners whose empty seats went, with the market's number.
    seats: Vec<(u32, String)>,
    dry_run: bool,
}

pub async fn run(args: MarketArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        MarketCommand::List => list(context).await,
        MarketCommand::Show { market } => show(market, context).await,
        MarketCommand::History(args) => market_history::run(args, context).await,
        MarketCommand::Roll { market } => roll(market, context).await,
        MarketCommand::Tidy { dry_run } => tidy(dry_run, context).await,
    }
}

async fn config(chain: &Chain) -> anyhow::Result<MarketConfig> {
    Ok(chain.expect("market configuration", &market::seeds::find_config().0, "run `waybill genesis` first").await?)
}

async fn market_of(chain: &Chain, id: u32) -> anyhow::Result<Market> {
    Ok(chain.expect("market", &market::seeds::find_market(id).0, "`waybill market list` shows all").await?)
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let pricing_epoch = lookup::pricing_epoch(&context.chain).await?;
    let markets: Vec<(Pubkey, Market)> = context.chain.all(&market::ID).await?;
    let mut lines: Vec<MarketLine> = markets.iter().map(|(_, market)| MarketLine::of(market, pricing_epoch)).collect();
    lines.sort_by_key(|line| line.market);
    output::print(context.json, &lines, |lines| table(lines))
}

fn table(lines: &[MarketLine]) -> String {
    let known = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let rows = lines.iter().map(|line| {
        vec![
            line.market.to_string(),
            line.region.clone(),
            line.class.to_string(),
            line.base_nc.to_string(),
            known(line.next_nc),
            line.demand.to_string(),
            known(line.observed),
            line.capacity.to_string(),
            line.owners.to_string(),
        ]
    });
    output::table(&["market", "region", "class", "nc/1,000", "next", "demand", "reported", "capacity", "owners"], rows)
}

async fn show(id: u32, context: &Context) -> anyhow::Result<()> {
    let pricing_epoch = lookup::pricing_epoch(&context.chain).await?;
    let params = config(&context.chain).await?.book;
    let market = market_of(&context.chain, id).await?;
    let book = book(&market, &params, pricing_epoch)?;
    output::print(context.json, &book, |book| {
        let rows = book.ticks.iter().map(|tick| {
            let mark = if tick.marginal { "clears here" } else { "" };
            vec![
                tick.tick.to_string(),
                tick.nc.to_string(),
                tick.capacity.to_string(),
                tick.supply.to_string(),
                mark.to_owned(),
            ]
        });
        let ticks = output::table(&["tick", "nc/1,000", "capacity", "up to here", ""], rows);
        let thin = if book.thin { "\nfewer than three owners: the price follows the utilisation" } else { "" };
        format!("{}\n\n{ticks}{thin}", table(std::slice::from_ref(&book.market)))
    })
}

fn book(market: &Market, params: &BookParams, pricing_epoch: u32) -> anyhow::Result<Book> {
    let prices = clearing::ticks(market.tick0_nc, TICKS, market.tick_ratio_bps)
        .with_context(|| format!("market {} has no tick prices", market.id))?;
    let cleared =
        clearing::clear(market.tick0_nc, market.tick_ratio_bps, &market.cap, market.demand, params.headroom_bps())?;
    let marginal = cleared.map(|cleared| cleared.index);
    let mut supply = 0u64;
    let mut ticks = Vec::new();
    for (tick, (nc, capacity)) in prices.into_iter().zip(market.cap).enumerate() {
        supply = supply.saturating_add(capacity);
        if capacity > 0 {
            ticks.push(TickLine { tick, nc, capacity, supply, marginal: marginal == Some(tick) });
        }
    }
    Ok(Book { market: MarketLine::of(market, pricing_epoch), thin: market.owners < THIN_OWNERS, ticks })
}

async fn roll(id: u32, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let pricing_epoch = lookup::pricing_epoch(&context.chain).await?;
    let before = market_of(&context.chain, id).await?;
    if before.next_epoch > pricing_epoch {
        anyhow::bail!(
            "market {id} is already cleared for pricing epoch {}: its base is {}",
            before.next_epoch,
            before.next_nc
        );
    }
    let signature = context.chain.send(&wallet, &[], &[ix::books::roll_market(id)]).await?;
    let after = market_of(&context.chain, id).await?;
    let rolled = Rolled {
        market: id,
        signature: signature.to_string(),
        demand: after.demand,
        old_nc: after.base_nc,
        next_nc: after.next_nc,
        next_epoch: after.next_epoch,
    };
    output::print(context.json, &rolled, |rolled| {
        format!(
            "market {}: {} nc per 1,000 units from pricing epoch {} on, {} before; demand {} units",
            rolled.market, rolled.next_nc, rolled.next_epoch, rolled.old_nc, rolled.demand
        )
    })
}

async fn tidy(dry_run: bool, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let chain = &context.chain;
    let params = config(chain).await?.params;
    let now = chain.unix_time().await?;
    let markets: Vec<(Pubkey, Market)> = chain.all(&market::ID).await?;
    let numbers: HashMap<Pubkey, u32> = markets.iter().map(|(address, market)| (*address, market.id)).collect();
    let mut done = Tidied { offers: vec![], seats: vec![], dry_run };

    let offers: Vec<(Pubkey, Offer)> = chain.all(&market::ID).await?;
    for (_, offer) in &offers {
        let node: Option<Node> = chain.account(&market::seeds::find_node(&offer.worker).0).await?;
        let party: Option<Party> = chain.account(&market::seeds::find_party(&offer.owner, Role::Provider).0).await?;
        // An offer of a network before owners were recorded has none; only its operator can take it out.
        let Some(party) = party else { continue };
        let live = node.is_some_and(|node| node.operator == offer.owner && node.require_live(now).is_ok());
        if offer.capacity == 0 || !live || party.is_out(&params, now).unwrap_or(false) {
            if !dry_run {
                chain.send(&wallet, &[], &[ix::books::remove_offer(offer)]).await?;
            }
            done.offers.push((numbers.get(&offer.market).copied().unwrap_or_default(), offer.worker.to_string()));
        }
    }
    let seats: Vec<(Pubkey, Seat)> = chain.all(&market::ID).await?;
    for (_, seat) in seats.iter().filter(|(_, seat)| seat.capacity == 0) {
        if !dry_run {
            let close = ix::books::close_seat(&seat.market, &seat.owner, seat.rent_payer);
            chain.send(&wallet, &[], &[close]).await?;
        }
        done.seats.push((numbers.get(&seat.market).copied().unwrap_or_default(), seat.owner.to_string()));
    }
    output::print(context.json, &done, |done| {
        if done.offers.is_empty() && done.seats.is_empty() {
            return "every offer can be served, and no seat is empty".to_owned();
        }
        let rows = |what: &'static str, entries: &[(u32, String)]| {
            entries
                .iter()
                .map(|(market, key)| vec![what.to_owned(), market.to_string(), key.clone()])
                .collect::<Vec<_>>()
        };
        let all = rows("offer", &done.offers).into_iter().chain(rows("seat", &done.seats));
        let head = if done.dry_run { "would go" } else { "gone" };
        output::table(&[head, "market", "key"], all)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_designs_book_clears_where_it_says() {
        let mut market = Market {
            version: Market::VERSION,
            bump: 1,
            id: 1,
            class: 7,
            region: *b"eu-central\0\0",
            base_nc: 12_154,
            floor_nc: 1_000,
            reserve_nc: 216_036,
            base_epoch: 10,
            tick0_nc: 10_000,
            tick_ratio_bps: 500,
            cap: [0; TICKS],
            seq: 0,
            rent_payer: Pubkey::default(),
            next_nc: 12_761,
            next_epoch: 11,
            demand: 500_000,
            observed: 3,
            observed_epoch: 10,
            observers: 1,
            owners: 5,
            _reserved: [0; 88],
        };
        for (tick, capacity) in [(2, 400_000), (4, 300_000), (5, 500_000), (8, 900_000), (12, 700_000)] {
            market.cap[tick] = capacity;
        }
        let shown = book(&market, &BookParams::default(), 10).unwrap();
        assert_eq!(
            (shown.market.base_nc, shown.market.next_nc, shown.market.observed),
            (12_154, Some(12_761), Some(3))
        );
        let clears: Vec<_> = shown.ticks.iter().filter(|tick| tick.marginal).map(|tick| (tick.tick, tick.nc)).collect();
        assert_eq!((clears, shown.ticks.len(), shown.thin), (vec![(4, 12_154)], 5, false));
        let later = MarketLine::of(&market, 11);
        assert_eq!((later.base_nc, later.next_nc, later.observed), (12_761, None, None));
    }
}
