//! Ends a weaver's ask whose container is gone; its rent goes back to who paid it. Asks for artifacts never end, because
//! an ask that is posted anew starts wherever its owner likes.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::AccountClosed,
    seeds,
    state::{Ask, Role},
};

/// Accounts of `close_ask`.
#[derive(Accounts)]
pub struct CloseAsk<'info> {
    /// The ask.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub ask: Box<Account<'info, Ask>>,
    /// CHECK: the address of the container that the ask is for; nothing may lie there.
    #[account(seeds = [seeds::CONTAINER, ask.subject.as_ref()], bump)]
    pub container: UncheckedAccount<'info>,
    /// Who paid for it.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseAsk<'_> {
    /// Ask, container and receiver of the rent are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        require!(self.ask.role == Role::Weaver, MarketError::StillNeeded);
        require!(self.container.owner != &crate::ID, MarketError::StillNeeded);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseAsk>) -> Result<()> {
    let account = ctx.accounts.ask.key();
    let seq = ctx.accounts.ask.next_seq()?;
    emit!(AccountClosed { account, seq, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
