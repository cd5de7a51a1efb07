//! Pays all earnings to the associated token account of the wallet that their owner registered, and to nothing else.

use anchor_lang::prelude::*;
use anchor_spl::{
    associated_token::get_associated_token_address,
    token::{Token, TokenAccount},
};

use crate::{
    error::SettleError,
    payout::Payout,
    state::{Earnings, PoolBreaker, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct SweepEarnings<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, constraint = earnings.mint == config.mint @ SettleError::AccountMismatch)]
    pub earnings: Box<Account<'info, Earnings>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    #[account(mut, has_one = pool @ SettleError::AccountMismatch)]
    pub breaker: Box<Account<'info, PoolBreaker>>,
    #[account(mut)]
    pub destination: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl SweepEarnings<'_> {
    /// `pool` is the configured one; `destination` is the registered wallet's associated account.
    fn validate(&self) -> Result<()> {
        let wallet = self.earnings.sweep_at(Clock::get()?.unix_timestamp);
        require_keys_neq!(wallet, Pubkey::default(), SettleError::NoSweepAddress);
        token::require_owned(&self.destination, &wallet, &self.config.mint)?;
        require_keys_eq!(
            self.destination.key(),
            get_associated_token_address(&wallet, &self.config.mint),
            SettleError::TokenMismatch
        );
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SweepEarnings>) -> Result<()> {
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
    payout.pay(None, true)
}
