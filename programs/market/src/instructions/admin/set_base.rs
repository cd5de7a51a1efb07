//! Moves a market's base price by at most one step per pricing epoch, until the book does it.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::BaseSet,
    seeds,
    state::{Market, MarketConfig},
};

/// Arguments of `set_base`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SetBaseArgs {
    /// nc per 1,000 BU.
    pub base_nc: u64,
}

/// Accounts of `set_base`.
#[derive(Accounts)]
pub struct SetBase<'info> {
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ MarketError::Unauthorized,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The market.
    #[account(mut, seeds = [seeds::MARKET, &market.id.to_le_bytes()], bump = market.bump)]
    pub market: Box<Account<'info, Market>>,
}

impl SetBase<'_> {
    /// Admin, configuration and market are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::BIDS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SetBase>, args: SetBaseArgs) -> Result<()> {
    let params = &ctx.accounts.config.params;
    let pricing_epoch = params.pricing_epoch(Clock::get()?.unix_timestamp)?;
    let account = ctx.accounts.market.key();
    let market = &mut ctx.accounts.market;
    let old_nc = market.set_base(args.base_nc, pricing_epoch, params)?;
    let seq = market.next_seq()?;
    market.invariant()?;
    emit!(BaseSet { account, seq, actor: ctx.accounts.admin.key(), pricing_epoch, old_nc, base_nc: args.base_nc });
    Ok(())
}
