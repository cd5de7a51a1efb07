//! Proposed parameters, visible before they apply.

use anchor_lang::prelude::*;

use crate::{
    constants::{PARAMS_NOTICE_EPOCHS, ROLES},
    error::MarketError,
    state::{BookParams, MarketConfig, MarketParams},
};

/// Everything that the params authority may change, as one value, so that no half of a change applies.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Debug, PartialEq, Eq)]
pub struct Tunables {
    /// Prices, stakes in AIC, times.
    pub params: MarketParams,
    /// The books.
    pub book: BookParams,
    /// Minimum stakes in nc, see [`MarketConfig::min_stake_nc`].
    pub min_stake_nc: [u64; ROLES],
}

/// PDA `["pend", "params"]`. Another proposal replaces it; applying it ends it.
#[account]
#[derive(InitSpace, Debug)]
pub struct PendingParams {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The settlement epoch from which the parameters may apply.
    pub effective_epoch: u32,
    /// What would apply.
    pub tunables: Tunables,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

impl PendingParams {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Refuses a proposal outside the compiled bounds, without notice, or that counts epochs differently than every
    /// other program.
    pub fn validate(tunables: &Tunables, effective_epoch: u32, config: &MarketConfig, now: i64) -> Result<()> {
        tunables.params.validate()?;
        tunables.book.validate()?;
        require!(tunables.params.epoch_s == config.params.epoch_s, MarketError::EpochLength);
        let first = config.params.epoch(now)?.checked_add(PARAMS_NOTICE_EPOCHS).ok_or(MarketError::BadClock)?;
        require!(effective_epoch >= first, MarketError::TooEarly);
        Ok(())
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(self.version == Self::VERSION && self.effective_epoch > 0, MarketError::Invariant);
        self.tunables.params.validate()
    }
}
