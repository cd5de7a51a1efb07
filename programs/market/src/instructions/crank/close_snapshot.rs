//! Ends a snapshot under which nobody claims any more; its rent goes back to who paid it.

use anchor_lang::prelude::*;

use crate::{
    constants::KEEP_S,
    error::MarketError,
    events::AccountClosed,
    state::{MarketConfig, SplitSnapshot},
};

/// Accounts of `close_snapshot`.
#[derive(Accounts)]
pub struct CloseSnapshot<'info> {
    /// The configuration.
    pub config: Box<Account<'info, MarketConfig>>,
    /// The snapshot.
    #[account(mut, close = rent_payer, has_one = rent_payer @ MarketError::WrongAccount)]
    pub snapshot: Box<Account<'info, SplitSnapshot>>,
    /// Who paid for it.
    #[account(mut)]
    pub rent_payer: SystemAccount<'info>,
}

impl CloseSnapshot<'_> {
    /// Snapshot and receiver of its rent are checked by attributes. Batches may come late, so it stays for 90 days; a
    /// past pricing epoch never gets another snapshot.
    pub(crate) fn validate(&self) -> Result<()> {
        let now = Clock::get()?.unix_timestamp;
        let kept_from = now.checked_sub(KEEP_S).ok_or(MarketError::BadClock)?;
        let oldest_kept = self.config.params.pricing_epoch(kept_from)?;
        require!(self.snapshot.pricing_epoch < oldest_kept, MarketError::StillNeeded);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseSnapshot>) -> Result<()> {
    let account = ctx.accounts.snapshot.key();
    emit!(AccountClosed { account, seq: 2, rent_payer: ctx.accounts.rent_payer.key() });
    Ok(())
}
