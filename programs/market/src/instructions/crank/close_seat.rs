//! Ends a seat without offers; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::AccountClosed, state::Seat};

/// Accounts of `close_seat`.
#[derive(Accounts)]
pub struct CloseSeat<'info> {
    /// The seat.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub seat: Box<Account<'info, Seat>>,
    /// Who paid for it.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseSeat<'_> {
    /// Seat and receiver of its rent are checked by attributes. An empty seat counts for nothing, so it can be opened
    /// again.
    pub(crate) fn validate(&self) -> Result<()> {
        require!(self.seat.capacity == 0, MarketError::StillNeeded);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseSeat>) -> Result<()> {
    let account = ctx.accounts.seat.key();
    emit!(AccountClosed { account, seq: 0, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
