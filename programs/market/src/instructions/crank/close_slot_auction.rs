//! Frees the rent of an auction whose day can no longer be charged.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    seeds,
    state::{MarketConfig, SlotAuction},
};

/// Accounts of `close_slot_auction`.
#[derive(Accounts)]
pub struct CloseSlotAuction<'info> {
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The auction.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub auction: Box<Account<'info, SlotAuction>>,
    /// CHECK: receives the rent; the address recorded in `auction`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseSlotAuction<'_> {
    /// `rent_payer` is the auction's. Bidding for its day has ended long ago, so it cannot come back.
    pub(crate) fn validate(&self) -> Result<()> {
        let times = self.auction.times(self.config.params.epoch_s)?;
        require!(Clock::get()?.unix_timestamp >= times.charges_until, MarketError::AuctionLive);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseSlotAuction>) -> Result<()> {
    let _ = ctx;
    Ok(())
}
