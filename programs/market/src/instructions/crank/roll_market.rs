//! Clears a market's book for the next pricing epoch: demand moves towards what gateways observed, the base price one
//! step towards the marginal tick.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    events::MarketRolled,
    state::{Market, MarketTerms},
};

/// Accounts of `roll_market`.
#[derive(Accounts)]
pub struct RollMarket<'info> {
    /// The configuration.
    pub config: Box<Account<'info, MarketTerms>>,
    /// The market.
    #[account(mut, dup)]
    pub market: Box<Account<'info, Market>>,
}

impl RollMarket<'_> {
    /// Both are accounts of this program, which creates them at one address each.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::BIDS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RollMarket>) -> Result<()> {
    let config = &ctx.accounts.config;
    let pricing_epoch = config.params.clearing(Clock::get()?.unix_timestamp)?;
    let account = ctx.accounts.market.key();
    let market = &mut ctx.accounts.market;
    let roll = market.roll(pricing_epoch, &config.params, &config.book)?;
    let seq = market.next_seq()?;
    market.invariant()?;
    emit!(MarketRolled {
        account,
        seq,
        pricing_epoch: market.next_epoch,
        observed: roll.observed,
        demand: market.demand,
        marginal_nc: roll.marginal_nc,
        old_nc: roll.old_nc,
        base_nc: roll.base_nc,
    });
    Ok(())
}
