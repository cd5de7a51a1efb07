//! Frees the rent of an event whose campaign is gone, so that it can never be charged again.

use anchor_lang::prelude::*;

use crate::{error::SettleError, state::PromoEvent};

#[derive(Accounts)]
pub struct CloseEvent<'info> {
    #[account(
        mut,
        close = rent_payer,
        has_one = campaign @ SettleError::AccountMismatch,
        has_one = rent_payer @ SettleError::AccountMismatch
    )]
    pub event: Box<Account<'info, PromoEvent>>,
    /// CHECK: the address of the campaign, which the market has closed.
    pub campaign: UncheckedAccount<'info>,
    /// CHECK: receives the rent; the address recorded in `event`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseEvent<'_> {
    /// `campaign` and `rent_payer` are the event's.
    fn validate(&self) -> Result<()> {
        require!(self.campaign.owner != &market::ID, SettleError::EventLive);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseEvent>) -> Result<()> {
    let _ = ctx;
    Ok(())
}
