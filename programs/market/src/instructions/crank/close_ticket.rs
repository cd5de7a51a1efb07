//! Ends a slash ticket that no dispute can need any more; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::TicketClosed, seeds, state::SlashTicket};

/// Accounts of `close_ticket`.
#[derive(Accounts)]
pub struct CloseTicket<'info> {
    /// The ticket.
    #[account(
        mut,
        close = rent_payer,
        seeds = [seeds::TICKET, ticket.party.as_ref(), &ticket.epoch.to_le_bytes()],
        bump = ticket.bump,
        has_one = rent_payer @ MarketError::WrongAccount,
    )]
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
    let ticket = &mut ctx.accounts.ticket;
    let seq = ticket.next_seq()?;
    emit!(TicketClosed { account, seq, party: ticket.party, epoch: ticket.epoch });
    Ok(())
}
