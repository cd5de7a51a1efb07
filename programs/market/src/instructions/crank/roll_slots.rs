//! Sells the promotion slots of a market and day by position VCG, once bidding has ended.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::SLOTS,
    error::MarketError,
    events::SlotsRolled,
    seeds,
    state::{MarketConfig, SlotAuction},
};

/// Accounts of `roll_slots`.
#[derive(Accounts)]
pub struct RollSlots<'info> {
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The auction.
    #[account(mut)]
    pub auction: Box<Account<'info, SlotAuction>>,
}

impl RollSlots<'_> {
    /// This program creates `auction` only at the address of its market and day.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        let times = self.auction.times(self.config.params.epoch_s)?;
        require!((times.bids_until..times.ends).contains(&Clock::get()?.unix_timestamp), MarketError::NotRollable);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RollSlots>) -> Result<()> {
    let account = ctx.accounts.auction.key();
    let auction = &mut ctx.accounts.auction;
    auction.decide()?;
    let seq = auction.next_seq()?;
    auction.invariant()?;
    let mut event = SlotsRolled {
        account,
        seq,
        market: auction.market,
        day: auction.day,
        campaigns: [Pubkey::default(); SLOTS],
        prices_nc: [0; SLOTS],
    };
    let shown = event.campaigns.iter_mut().zip(&mut event.prices_nc);
    for ((campaign, price_nc), slot) in shown.zip(&auction.slots) {
        (*campaign, *price_nc) = (slot.campaign, slot.price_nc);
    }
    emit!(event);
    Ok(())
}
