//! A campaign bids for the promotion slots of its market on a day to come. Bidding again replaces the bid.

use anchor_lang::prelude::*;
use anchor_spl::token::TokenAccount;
use coin::{authority::pause, state::RateView};
use waybill_mechanism::amount::debit_aic;

use crate::{
    constants::BID_AHEAD_DAYS,
    error::MarketError,
    events::SlotBidPlaced,
    seeds,
    state::{Campaign, ContainerState, Market, MarketConfig, Plan, SlotAuction, SlotBid, Standing},
};

/// Arguments of `bid_slot`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct BidSlotArgs {
    /// The pricing epoch.
    pub day: u32,
    /// What an event is worth to the owner, nc; pacing may scale it down.
    pub bid_nc: u64,
}

/// Accounts of `bid_slot`.
#[derive(Accounts)]
#[instruction(args: BidSlotArgs)]
pub struct BidSlot<'info> {
    /// Pays the rent of an auction's first bid.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The owner of the campaign and the party.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The price of AIC.
    pub rate: Box<Account<'info, RateView>>,
    /// A party of the owner, in any role.
    #[account(has_one = owner @ MarketError::Unauthorized)]
    pub party: Box<Account<'info, Standing>>,
    /// The campaign.
    #[account(mut, dup, has_one = owner @ MarketError::Unauthorized)]
    pub campaign: Box<Account<'info, Campaign>>,
    /// Its escrow.
    #[account(seeds = [seeds::ESCROW, campaign.key().as_ref()], bump = campaign.escrow_bump)]
    pub escrow: Box<Account<'info, TokenAccount>>,
    /// The container it promotes.
    #[account(constraint = container.id == campaign.container @ MarketError::WrongAccount)]
    pub container: Box<Account<'info, Plan>>,
    /// The market it bids in.
    #[account(constraint = market.id == campaign.market @ MarketError::WrongMarket)]
    pub market: Box<Account<'info, Market>>,
    /// The auction. Its seeds name one market and day, so a second creation is impossible.
    #[account(
        init_if_needed,
        dup,
        payer = payer,
        space = 8 + SlotAuction::INIT_SPACE,
        seeds = [seeds::SLOT_AUCTION, market.key().as_ref(), &args.day.to_le_bytes()],
        bump,
    )]
    pub auction: Box<Account<'info, SlotAuction>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl BidSlot<'_> {
    /// Owner, party, escrow, container and market are checked by attributes; `rate` is the coin's. The escrow answers
    /// for one day at today's rate, so that no bid without money displaces another.
    pub(crate) fn validate(&self, args: &BidSlotArgs, now: i64) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        self.party.require_good(&self.config.params, now)?;
        require!(self.container.state == ContainerState::Active, MarketError::ContainerRetired);
        let today = self.config.params.pricing_epoch(now)?;
        let last = today.checked_add(BID_AHEAD_DAYS).ok_or(MarketError::BadClock)?;
        require!(args.day <= last, MarketError::BiddingClosed);
        let day_aic = debit_aic(self.campaign.daily_cap_nc, self.rate.current(now)?).ok_or(MarketError::Overflow)?;
        require!(self.escrow.amount >= day_aic, MarketError::EscrowTooSmall);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<BidSlot>, args: BidSlotArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    ctx.accounts.validate(&args, now)?;
    let accounts = &mut *ctx.accounts;
    let campaign = &mut accounts.campaign;
    let bid_nc = campaign.bid(args.day, args.bid_nc)?;
    let bid =
        SlotBid { campaign: campaign.key(), container: campaign.container, bid_nc, quality_bps: campaign.quality_bps };
    campaign.invariant()?;
    let (pace_bps, quality_bps) = (campaign.pace_bps, campaign.quality_bps);

    let account = accounts.auction.key();
    let auction = &mut accounts.auction;
    if auction.version == 0 {
        auction.set_inner(SlotAuction::new(accounts.market.id, args.day, ctx.bumps.auction, accounts.payer.key()));
    }
    require!(now < auction.times(accounts.config.params.epoch_s)?.bids_until, MarketError::BiddingClosed);
    auction.place(bid)?;
    let seq = auction.next_seq()?;
    auction.invariant()?;
    emit!(SlotBidPlaced { account, seq, campaign: bid.campaign, day: args.day, bid_nc, pace_bps, quality_bps });
    Ok(())
}
