//! Ends a retired container that no claim needs any more; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::AccountClosed, state::Container};

/// Accounts of `close_container`.
#[derive(Accounts)]
pub struct CloseContainer<'info> {
    /// The account that ends.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub container: Box<Account<'info, Container>>,
    /// Who paid for it.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseContainer<'_> {
    /// The account and the receiver of its rent are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.container.require_closable(Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseContainer>) -> Result<()> {
    let account = ctx.accounts.container.key();
    let seq = ctx.accounts.container.next_seq()?;
    emit!(AccountClosed { account, seq, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
