//! Ends a slash ticket that no dispute can need any more; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::AccountClosed, state::SlashTicket};

/// Accounts of `close_ticket`.
#[derive(Accounts)]
pub struct CloseTicket<'info> {
    /// The ticket.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub ticket: Box<Account<'info, SlashTicket>>,
    /// Who paid for the ticket.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseTicket<'_> {
    /// Ticket and receiver of its rent are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.ticket.require_closable(Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseTicket>) -> Result<()> {
    let account = ctx.accounts.ticket.key();
    let seq = ctx.accounts.ticket.next_seq()?;
    emit!(AccountClosed { account, seq, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
