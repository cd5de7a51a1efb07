//! Moves tokens of a bounty's sponsor into the pool, where they wait for its curator.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::authority::pause;

use crate::{
    error::SettleError,
    events::BountyFunded,
    report::report,
    state::{Bounty, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct FundBounty<'info> {
    pub sponsor: Signer<'info>,
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = sponsor @ SettleError::Unauthorized)]
    pub bounty: Box<Account<'info, Bounty>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    /// The sponsor's own tokens.
    #[account(mut)]
    pub source: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl FundBounty<'_> {
    /// `sponsor` owns `bounty` and `source`, `pool` is the configured one.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        token::require_owned(&self.source, &self.sponsor.key(), &self.config.mint)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<FundBounty>, amount_aic: u64) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let bounty = &mut accounts.bounty;
    bounty.deposit(amount_aic)?;
    let seq = bounty.next_seq()?;
    bounty.invariant()?;
    let authority = accounts.sponsor.to_account_info();
    token::transfer(&accounts.token_program, &accounts.source, &accounts.pool, authority, &[], amount_aic)?;
    let bounty = &accounts.bounty;
    let event =
        BountyFunded { bounty: bounty.key(), sponsor: bounty.sponsor, amount_aic, balance_aic: bounty.amount_aic, seq };
    report(&ctx.accounts.event_authority, &event)
}
