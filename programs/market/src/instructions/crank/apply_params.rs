//! Applies proposed parameters whose time has come.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::ParamsApplied,
    state::{MarketConfig, PendingParams},
};

/// Accounts of `apply_params`.
#[derive(Accounts)]
pub struct ApplyParams<'info> {
    /// The configuration.
    #[account(mut)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The proposal.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub pending: Box<Account<'info, PendingParams>>,
    /// Who paid for the proposal.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl ApplyParams<'_> {
    /// Configuration and proposal exist once each; the receiver of the rent is checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        let current = self.config.params.epoch(Clock::get()?.unix_timestamp)?;
        require!(current >= self.pending.effective_epoch, MarketError::TooEarly);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ApplyParams>) -> Result<()> {
    let account = ctx.accounts.config.key();
    let new = ctx.accounts.pending.tunables.clone();
    let config = &mut ctx.accounts.config;
    let old = config.apply(new.clone());
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(ParamsApplied { account, seq, old, new });
    Ok(())
}
