//! Credits what an ended bounty has left to its sponsor's earnings, and returns the rent to its payer. The tokens stay in
//! the pool: they leave it as all earnings do, past the breaker.

use anchor_lang::prelude::*;

use crate::{
    error::SettleError,
    events::BountyClosed,
    report::report,
    state::{Bounty, Earnings, SettleConfig},
};

#[event_cpi]
#[derive(Accounts)]
pub struct CloseBounty<'info> {
    pub sponsor: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        mut,
        close = rent_payer,
        has_one = sponsor @ SettleError::Unauthorized,
        has_one = rent_payer @ SettleError::AccountMismatch
    )]
    pub bounty: Box<Account<'info, Bounty>>,
    #[account(
        mut,
        constraint = earnings.owner == bounty.sponsor && earnings.mint == config.mint @ SettleError::PayeeMismatch
    )]
    pub earnings: Box<Account<'info, Earnings>>,
    /// CHECK: receives the rent; the address recorded in `bounty`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseBounty<'_> {
    /// `sponsor` owns `bounty` and `earnings`; `rent_payer` is the recorded one. Cannot be paused: no token moves.
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
    accounts.earnings.credit(returned_aic)?;
    accounts.earnings.invariant()?;
    let seq = bounty.next_seq()?;
    let event = BountyClosed {
        bounty: bounty.key(),
        sponsor: bounty.sponsor,
        earnings: accounts.earnings.key(),
        returned_aic,
        paid_aic: bounty.paid_aic,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
