//! Pays earnings to any token account that their owner names. It can be paused only for a bounded time, and a payment
//! above the pool's breaker waits.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    error::SettleError,
    payout::Payout,
    state::{Earnings, PoolBreaker, SettleConfig},
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
    #[account(mut, has_one = pool @ SettleError::AccountMismatch)]
    pub breaker: Box<Account<'info, PoolBreaker>>,
    #[account(mut, constraint = destination.mint == config.mint @ SettleError::TokenMismatch)]
    pub destination: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

/// `amount_aic` `None` takes everything, or, when a payment has waited, what has waited.
pub(crate) fn handler(ctx: Context<WithdrawEarnings>, amount_aic: Option<u64>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let payout = Payout {
        config: &accounts.config,
        breaker: &mut accounts.breaker,
        earnings: &mut accounts.earnings,
        pool: &accounts.pool,
        destination: &accounts.destination,
        token_program: &accounts.token_program,
        event_authority: &accounts.event_authority,
    };
    payout.pay(amount_aic, false)
}
