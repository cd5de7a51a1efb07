//! `waybill promote`: campaigns that promote a container, their bids for slots, and what they spent.

use crate::{
    commands::{party::parties_of, wallet::require_aic},
    context::Context,
    input, lookup, output, role,
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::{
    ix,
    market::{
        self,
        instructions::CreateCampaignArgs,
        state::{AuctionState, Campaign, CampaignState, MarketConfig, Role, SlotAuction},
    },
};
use waybill_mechanism::{
    pacing::{next_pace, paced_bid},
    promo,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill promote create 1 smollm2-135m-instruct --cap 0.5 --escrow 100\n  waybill promote bid 1 0.0004                 for the next day whose bidding is open\n  waybill promote slots                        who holds which slot, and who bids\n  waybill promote status                       what your campaigns spent\n  waybill promote withdraw 1                   close it; later, take back what is left\n\nYou pay per event: a consumer's first paid request through your slot. Half goes back to the consumer, three tenths to\nwhoever displayed the slot, the rest is burned. A day is a pricing epoch, 24 settlement epochs."
)]
pub struct PromoteArgs {
    #[command(subcommand)]
    command: PromoteCommand,
}

#[derive(Debug, Subcommand)]
enum PromoteCommand {
    /// Create a campaign for a container, or top its escrow up when it exists
    Create {
        /// Your number for it
        id: u32,
        /// Name or id of the container
        container: String,
        /// The most that the events of one day may cost, US dollars
        #[arg(long, value_parser = input::usd, value_name = "USD")]
        cap: u64,
        /// What they should cost: pacing lowers the bid when more is spent [default: the cap]
        #[arg(long, value_parser = input::usd, value_name = "USD")]
        target: Option<u64>,
        /// AIC for the escrow; bidding needs at least one day's cap
        #[arg(long, value_parser = output::parse_aic, value_name = "AIC")]
        escrow: u64,
        /// Market whose slots it bids for [default: that of the container's first stage]
        #[arg(long, value_name = "ID")]
        market: Option<u32>,
    },
    /// Bid for the slots of a day; again, to replace the bid
    Bid {
        /// Your number of the campaign
        id: u32,
        /// What an event is worth to you, US dollars; pacing may lower it
        #[arg(value_parser = input::usd, value_name = "USD")]
        bid: u64,
        /// The pricing epoch [default: the next one whose bidding is open]
        #[arg(long)]
        day: Option<u32>,
    },
    /// Show campaigns: what they hold, spent and bid
    Status {
        /// Only this one of yours
        id: Option<u32>,
        /// Whose [default: the wallet that signs]
        #[arg(long, value_parser = input::address)]
        owner: Option<Pubkey>,
    },
    /// Close a campaign; once nothing can be charged any more, take back what is left
    Withdraw {
        /// Your number of the campaign
        id: u32,
    },
    /// Show the slot auctions: bids while bidding is open, then slots and prices
    Slots {
        /// Only this market
        #[arg(long, value_name = "ID")]
        market: Option<u32>,
        /// Only this pricing epoch
        #[arg(long)]
        day: Option<u32>,
    },
}

pub async fn run(args: PromoteArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        PromoteCommand::Create { id, container, cap, target, escrow, market } => {
            create(id, &container, cap, target.unwrap_or(cap), escrow, market, context).await
        }
        PromoteCommand::Bid { id, bid, day } => bid_slot(id, bid, day, context).await,
        PromoteCommand::Status { id, owner } => status(id, owner, context).await,
        PromoteCommand::Withdraw { id } => withdraw(id, context).await,
        PromoteCommand::Slots { market, day } => slots(market, day, context).await,
    }
}

/// Amounts in nano-credits (1e-9 US dollars) and AIC base units.
#[derive(Serialize)]
struct CampaignLine {
    id: u32,
    campaign: String,
    owner: String,
    container: String,
    market: u32,
    state: &'static str,
    bid_nc: u64,
    /// λ of pacing, and the bid that would enter the next auction.
    pace_bps: u16,
    next_bid_nc: u64,
    quality_bps: u16,
    daily_cap_nc: u64,
    daily_target_nc: u64,
    escrow_aic: u64,
    events: u64,
    spent_nc: u64,
    spent_aic: u64,
    last_day: u32,
    /// Unix second from which a closed campaign can be withdrawn.
    over_at: Option<i64>,
}

impl CampaignLine {
    fn of(address: &Pubkey, campaign: &Campaign, escrow_aic: u64, epoch_s: u32) -> Self {
        // What the program will do at the next day's first bid.
        let pace = next_pace(campaign.pace_bps, campaign.daily_target_nc, campaign.paced_spend_nc);
        let next_pace = if campaign.last_day == 0 { campaign.pace_bps } else { pace };
        Self {
            id: campaign.id,
            campaign: address.to_string(),
            owner: campaign.owner.to_string(),
            container: hex::encode(campaign.container),
            market: campaign.market,
            state: match campaign.state {
                CampaignState::Active => "active",
                CampaignState::Closing => "closing",
            },
            bid_nc: campaign.bid_nc,
            pace_bps: campaign.pace_bps,
            next_bid_nc: paced_bid(campaign.bid_nc, next_pace),
            quality_bps: campaign.quality_bps,
            daily_cap_nc: campaign.daily_cap_nc,
            daily_target_nc: campaign.daily_target_nc,
            escrow_aic,
            events: campaign.events,
            spent_nc: campaign.spent_nc,
            spent_aic: campaign.spent_aic,
            last_day: campaign.last_day,
            over_at: campaign.over_at(epoch_s).ok(),
        }
    }

    fn table(lines: &[Self]) -> String {
        let rows = lines.iter().map(|line| {
            vec![
                line.id.to_string(),
                line.container[..12].to_owned(),
                line.market.to_string(),
                line.state.to_owned(),
                output::usd(line.bid_nc),
                format!("{} %", line.pace_bps / 100),
                output::usd(line.daily_cap_nc),
                output::aic(line.escrow_aic),
                line.events.to_string(),
                output::usd(line.spent_nc),
            ]
        });
        output::table(
            &["id", "container", "market", "state", "bid", "pace", "cap/day", "escrow AIC", "events", "spent"],
            rows,
        )
    }
}

async fn epoch_s(context: &Context) -> anyhow::Result<u32> {
    Ok(lookup::settle_config(&context.chain).await?.epoch_s)
}

async fn campaign(owner: &Pubkey, id: u32, context: &Context) -> anyhow::Result<(Pubkey, Campaign)> {
    let address = market::seeds::find_campaign(owner, id).0;
    let found = context.chain.account(&address).await?;
    let campaign =
        found.with_context(|| format!("{owner} has no campaign {id}; `waybill promote create {id} …` makes one"))?;
    Ok((address, campaign))
}

async fn line(address: &Pubkey, campaign: &Campaign, context: &Context) -> anyhow::Result<CampaignLine> {
    let escrow = context.chain.token_balance(&market::seeds::find_escrow(address).0).await?;
    Ok(CampaignLine::of(address, campaign, escrow, epoch_s(context).await?))
}

/// A role in which the owner has enough stake to promote.
async fn standing(owner: &Pubkey, context: &Context) -> anyhow::Result<Role> {
    let config: MarketConfig = context
        .chain
        .expect("market configuration", &market::seeds::find_config().0, "run `waybill genesis` first")
        .await?;
    let (parties, now) = (parties_of(owner, context).await?, context.chain.unix_time().await?);
    match parties.iter().find(|party| party.require_in_good_standing(&config.params, now).is_ok()) {
        Some(party) => Ok(party.role),
        None => bail!(
            "promoting needs a party with its minimum stake, in any role: \
             `waybill party register {0}`, then `waybill stake add {0} …`",
            role::name(Role::Curator)
        ),
    }
}

async fn create(
    id: u32,
    container: &str,
    daily_cap_nc: u64,
    daily_target_nc: u64,
    amount: u64,
    market: Option<u32>,
    context: &Context,
) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let address = market::seeds::find_campaign(&owner, id).0;
    let container = lookup::container(&context.chain, container).await?;
    if let Some(existing) = context.chain.account::<Campaign>(&address).await? {
        return top_up(&wallet, &address, &existing, &container.id, amount, context).await;
    }
    if !(promo::RESERVE_NC..=daily_cap_nc).contains(&daily_target_nc) {
        bail!(
            "the target is at least the reserve price of an event ({}) and at most the cap ({})",
            output::usd(promo::RESERVE_NC),
            output::usd(daily_cap_nc)
        );
    }
    let market = match (market, container.stages.first()) {
        (Some(market), _) => market,
        (None, Some(stage)) => stage.market,
        (None, None) => bail!("the container has no stage"),
    };
    let role = standing(&owner, context).await?;
    require_aic(context, &owner, amount).await?;
    let args = CreateCampaignArgs { id, market, daily_cap_nc, daily_target_nc, amount };
    let create = ix::promo::create_campaign(owner, owner, role, &container.id, args);
    context.chain.send(&wallet, &[], &[create]).await?;
    show(&address, context).await
}

/// The same command again: what is missing in the escrow is added, nothing else changes.
async fn top_up(
    wallet: &Keypair,
    address: &Pubkey,
    existing: &Campaign,
    container: &[u8; 32],
    wanted: u64,
    context: &Context,
) -> anyhow::Result<()> {
    if existing.container != *container {
        bail!("campaign {} promotes another container; choose another number", existing.id);
    }
    let held = context.chain.token_balance(&market::seeds::find_escrow(address).0).await?;
    if let Some(missing) = wanted.checked_sub(held).filter(|missing| *missing > 0) {
        require_aic(context, &existing.owner, missing).await?;
        let top_up = ix::promo::top_up_campaign(existing.owner, existing.id, missing);
        context.chain.send(wallet, &[], &[top_up]).await?;
    }
    show(address, context).await
}

async fn show(address: &Pubkey, context: &Context) -> anyhow::Result<()> {
    let campaign: Campaign = context.chain.expect("campaign", address, "it was just written").await?;
    let line = line(address, &campaign, context).await?;
    output::print(context.json, &line, |line| {
        format!(
            "campaign {} holds {} AIC for market {}; an event costs at most your bid, a day at most {}\n\
             bid with: waybill promote bid {} USD",
            line.id,
            output::aic(line.escrow_aic),
            line.market,
            output::usd(line.daily_cap_nc),
            line.id
        )
    })
}

#[derive(Serialize)]
struct Placed {
    auction: String,
    day: u32,
    /// What entered the auction, after pacing.
    bid_nc: u64,
    pace_bps: u16,
    bids: usize,
    /// Unix second at which bidding ends.
    bids_until: i64,
    signature: String,
}

async fn bid_slot(id: u32, bid_nc: u64, day: Option<u32>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let (address, campaign) = campaign(&owner, id, context).await?;
    let epoch_s = epoch_s(context).await?;
    let now = context.chain.unix_time().await?;
    let times = |day| promo::day(day, epoch_s).context("the day is beyond the calendar");
    let day = match day {
        Some(day) => day,
        None => {
            let next = lookup::pricing_epoch(&context.chain).await?.saturating_add(1);
            if now < times(next)?.bids_until { next } else { next.saturating_add(1) }
        }
    };
    let role = standing(&owner, context).await?;
    let bid = ix::promo::bid_slot(owner, &campaign, role, day, bid_nc);
    let signature = context.chain.send(&wallet, &[], &[bid]).await?.to_string();
    let auction_address = ix::promo::auction(campaign.market, day);
    let auction: SlotAuction = context.chain.expect("slot auction", &auction_address, "it was just written").await?;
    let own = auction.bids.iter().find(|bid| bid.campaign == address).context("the bid was outbid at once")?;
    let (_, after) = self::campaign(&owner, id, context).await?;
    let placed = Placed {
        auction: auction_address.to_string(),
        day,
        bid_nc: own.bid_nc,
        pace_bps: after.pace_bps,
        bids: auction.bids.len(),
        bids_until: times(day)?.bids_until,
        signature,
    };
    output::print(context.json, &placed, |placed| {
        format!(
            "bid {} per event for day {} ({} bids so far); bidding ends in {}",
            output::usd(placed.bid_nc),
            placed.day,
            placed.bids,
            input::span_text(placed.bids_until - now)
        )
    })
}

async fn status(id: Option<u32>, owner: Option<Pubkey>, context: &Context) -> anyhow::Result<()> {
    let owner = match owner {
        Some(owner) => owner,
        None => context.wallet()?.pubkey(),
    };
    let all: Vec<(Pubkey, Campaign)> = context.chain.all(&market::ID).await?;
    let mut mine: Vec<(Pubkey, Campaign)> = all
        .into_iter()
        .filter(|(_, campaign)| campaign.owner == owner && id.is_none_or(|id| campaign.id == id))
        .collect();
    mine.sort_by_key(|(_, campaign)| campaign.id);
    let mut lines = Vec::with_capacity(mine.len());
    for (address, campaign) in &mine {
        lines.push(line(address, campaign, context).await?);
    }
    output::print(context.json, &lines, |lines| CampaignLine::table(lines))
}

#[derive(Serialize)]
struct Withdrawn {
    campaign: String,
    /// `closing` until `over_at`, then `withdrawn`.
    state: &'static str,
    /// AIC base units still in the escrow, or paid back.
    amount_aic: u64,
    over_at: i64,
}

async fn withdraw(id: u32, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let (address, mut found) = campaign(&owner, id, context).await?;
    let epoch_s = epoch_s(context).await?;
    if found.state == CampaignState::Active {
        context.chain.send(&wallet, &[], &[ix::promo::close_campaign(owner, id)]).await?;
        found = campaign(&owner, id, context).await?.1;
    }
    let over_at = found.over_at(epoch_s)?;
    let amount_aic = context.chain.token_balance(&market::seeds::find_escrow(&address).0).await?;
    let now = context.chain.unix_time().await?;
    let over = now >= over_at;
    if over {
        let instructions = [ix::create_aic_account(&owner, &owner), ix::promo::withdraw_campaign(&found)];
        context.chain.send(&wallet, &[], &instructions).await?;
    }
    let state = if over { "withdrawn" } else { "closing" };
    let done = Withdrawn { campaign: address.to_string(), state, amount_aic, over_at };
    output::print(context.json, &done, |done| {
        let amount = output::aic(done.amount_aic);
        if over {
            format!("{amount} AIC are back in {owner}; the campaign is gone")
        } else {
            let wait = input::span_text(done.over_at - now);
            format!("the campaign bids no more; in {wait} the same command takes back what is left of {amount} AIC")
        }
    })
}

#[derive(Serialize)]
struct SlotLine {
    market: u32,
    day: u32,
    auction: String,
    /// `bidding` or `sold`.
    state: &'static str,
    /// 1 to 3 for a sold slot, none for a bid.
    slot: Option<u32>,
    campaign: String,
    bid_nc: u64,
    quality_bps: u16,
    price_nc: Option<u64>,
    events: Option<u32>,
    spent_nc: Option<u64>,
}

async fn slots(market: Option<u32>, day: Option<u32>, context: &Context) -> anyhow::Result<()> {
    let all: Vec<(Pubkey, SlotAuction)> = context.chain.all(&market::ID).await?;
    let mut auctions: Vec<(Pubkey, SlotAuction)> = all
        .into_iter()
        .filter(|(_, auction)| {
            market.is_none_or(|market| auction.market == market) && day.is_none_or(|day| auction.day == day)
        })
        .collect();
    auctions.sort_by_key(|(_, auction)| (auction.market, auction.day));
    let lines: Vec<SlotLine> = auctions.iter().flat_map(|(address, auction)| slot_lines(address, auction)).collect();
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            let number = |value: Option<u64>, text: fn(u64) -> String| value.map_or_else(|| "-".to_owned(), text);
            vec![
                line.market.to_string(),
                line.day.to_string(),
                line.state.to_owned(),
                number(line.slot.map(u64::from), |slot| slot.to_string()),
                line.campaign.clone(),
                output::usd(line.bid_nc),
                format!("{}.{:02}", line.quality_bps / 10_000, line.quality_bps % 10_000 / 100),
                number(line.price_nc, output::usd),
                number(line.events.map(u64::from), |events| events.to_string()),
                number(line.spent_nc, output::usd),
            ]
        });
        output::table(
            &["market", "day", "state", "slot", "campaign", "bid", "quality", "price", "events", "spent"],
            rows,
        )
    })
}

/// The sold slots in order, then the bids that won none.
fn slot_lines(address: &Pubkey, auction: &SlotAuction) -> Vec<SlotLine> {
    let state = match auction.state {
        AuctionState::Bidding => "bidding",
        AuctionState::Sold => "sold",
    };
    let mut lines: Vec<SlotLine> = auction
        .bids
        .iter()
        .map(|bid| {
            let sold = auction.slots.iter().zip(1u32..).find(|(slot, _)| slot.campaign == bid.campaign);
            SlotLine {
                market: auction.market,
                day: auction.day,
                auction: address.to_string(),
                state,
                slot: sold.map(|(_, position)| position),
                campaign: bid.campaign.to_string(),
                bid_nc: bid.bid_nc,
                quality_bps: bid.quality_bps,
                price_nc: sold.map(|(slot, _)| slot.price_nc),
                events: sold.map(|(slot, _)| slot.events),
                spent_nc: sold.map(|(slot, _)| slot.spent_nc),
            }
        })
        .collect();
    lines.sort_by_key(|line| (line.slot.unwrap_or(u32::MAX), std::cmp::Reverse(line.bid_nc)));
    lines
}
