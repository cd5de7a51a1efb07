//! Ends an observation of a past pricing epoch; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::AccountClosed,
    state::{MarketConfig, Observation},
};

/// Accounts of `close_observation`.
#[derive(Accounts)]
pub struct CloseObservation<'info> {
    /// The configuration.
    pub config: Box<Account<'info, MarketConfig>>,
    /// The observation.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub observation: Box<Account<'info, Observation>>,
    /// Who paid for it.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseObservation<'_> {
    /// Observation and receiver of its rent are checked by attributes. One of the current pricing epoch stays, so that
    /// nobody reports the same demand twice.
    pub(crate) fn validate(&self) -> Result<()> {
        let current = self.config.params.pricing_epoch(Clock::get()?.unix_timestamp)?;
        require!(self.observation.pricing_epoch < current, MarketError::StillNeeded);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseObservation>) -> Result<()> {
    let account = ctx.accounts.observation.key();
    let seq = ctx.accounts.observation.next_seq()?;
    emit!(AccountClosed { account, seq, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
