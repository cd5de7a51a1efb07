//! Returns what an ended bounty has left to its sponsor, and the rent to its payer.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    error::SettleError,
    events::BountyClosed,
    report::report,
    seeds,
    state::{Bounty, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct CloseBounty<'info> {
    pub sponsor: Signer<'info>,
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        mut,
        close = rent_payer,
        has_one = sponsor @ SettleError::Unauthorized,
        has_one = rent_payer @ SettleError::AccountMismatch
    )]
    pub bounty: Box<Account<'info, Bounty>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    #[account(mut, constraint = destination.mint == config.mint @ SettleError::TokenMismatch)]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// CHECK: receives the rent; the address recorded in `bounty`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
    pub token_program: Program<'info, Token>,
}

impl CloseBounty<'_> {
    /// `sponsor` owns `bounty` and names `destination`; `pool` and `rent_payer` are the recorded ones. Cannot be paused.
    fn validate(&self) -> Result<()> {
        let closes_at = self.bounty.closes_at(&self.config)?;
        require!(Clock::get()?.unix_timestamp >= closes_at, SettleError::BountyOpen);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseBounty>) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let bounty = &mut accounts.bounty;
    let returned_aic = std::mem::take(&mut bounty.amount_aic);
    let seq = bounty.next_seq()?;
    let (mint, bump) = (accounts.config.mint, [accounts.config.pool_bump]);
    let seeds: [&[u8]; 3] = [seeds::POOL, mint.as_ref(), &bump];
    let authority = accounts.pool.to_account_info();
    token::transfer(&accounts.token_program, &accounts.pool, &accounts.destination, authority, &seeds, returned_aic)?;
    let bounty = &accounts.bounty;
    let event = BountyClosed {
        bounty: bounty.key(),
        sponsor: bounty.sponsor,
        destination: accounts.destination.key(),
        returned_aic,
        paid_aic: bounty.paid_aic,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
