//! Frees the rent of a day's fees, 90 days after its end. No sweep adds to a day that is over, so the account cannot come
//! again; the coin then releases nothing for a day that it has not released yet.

use anchor_lang::prelude::*;

use crate::{error::SettleError, state::FeeDay};

#[derive(Accounts)]
pub struct CloseFeeDay<'info> {
    #[account(mut, dup, close = rent_payer, has_one = rent_payer @ SettleError::AccountMismatch)]
    pub fee_day: Box<Account<'info, FeeDay>>,
    /// CHECK: receives the rent; the address recorded in `fee_day`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<CloseFeeDay>) -> Result<()> {
    ctx.accounts.fee_day.require_spent(Clock::get()?.unix_timestamp)
}
