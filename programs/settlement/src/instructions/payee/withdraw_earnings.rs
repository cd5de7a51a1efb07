//! Pays earnings to any token account that their owner names. It cannot be paused.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    error::SettleError,
    events::EarningsWithdrawn,
    payout,
    report::report,
    state::{Earnings, SettleConfig},
};

#[event_cpi]
#[derive(Accounts)]
pub struct WithdrawEarnings<'info> {
    pub owner: Signer<'info>,
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        mut,
        has_one = owner @ SettleError::Unauthorized,
        constraint = earnings.mint == config.mint @ SettleError::AccountMismatch
    )]
    pub earnings: Box<Account<'info, Earnings>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    #[account(mut, constraint = destination.mint == config.mint @ SettleError::TokenMismatch)]
    pub destination: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

/// `amount_aic` `None` takes everything.
pub(crate) fn handler(ctx: Context<WithdrawEarnings>, amount_aic: Option<u64>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let event: EarningsWithdrawn = payout::pay(
        &accounts.config,
        &mut accounts.earnings,
        &accounts.pool,
        &accounts.destination,
        &accounts.token_program,
        amount_aic,
        false,
    )?;
    report(&ctx.accounts.event_authority, &event)
}
