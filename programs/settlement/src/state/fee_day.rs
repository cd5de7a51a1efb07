//! The protocol fees of one day, which bound what the coin may release for it.

use anchor_lang::prelude::*;

use crate::{
    constants::{DAY_S, FEE_DAY_KEEP_DAYS},
    error::SettleError,
    state::FeeParts,
};

/// `["feeday", day]`
#[account]
#[derive(InitSpace, Debug)]
pub struct FeeDay {
    pub version: u8,
    pub bump: u8,
    /// Unix day: unix / 86,400 of the sweep.
    pub day: u32,
    pub batches: u32,
    /// Fees of the batches swept on that day, in AIC base units.
    pub fee_aic: u64,
    /// Fees and unclaimed curator shares burned on that day.
    pub burned_aic: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 32],
}

impl FeeDay {
    /// The unix day of a unix second.
    pub fn day_of(now: i64) -> Result<u32> {
        // Unsigned: SBF has no signed division.
        let day = u64::try_from(now).ok().and_then(|now| u32::try_from(now / DAY_S).ok());
        day.ok_or_else(|| SettleError::Overflow.into())
    }

    /// Refuses a day that is not over for as long as it is kept.
    pub fn require_spent(&self, now: i64) -> Result<()> {
        let kept = self.day.checked_add(FEE_DAY_KEEP_DAYS).ok_or(SettleError::Overflow)?;
        require!(Self::day_of(now)? > kept, SettleError::FeeDayKept);
        Ok(())
    }

    /// Adds one swept batch.
    pub fn add(&mut self, fee: &FeeParts, unreferred_burn_aic: u64) -> Result<()> {
        let fee_aic = fee
            .audits_aic
            .checked_add(fee.gateway_aic)
            .and_then(|sum| sum.checked_add(fee.burn_aic))
            .and_then(|sum| sum.checked_add(fee.treasury_aic))
            .ok_or(SettleError::Overflow)?;
        let burned = fee.burn_aic.checked_add(unreferred_burn_aic).ok_or(SettleError::Overflow)?;
        self.batches = self.batches.checked_add(1).ok_or(SettleError::Overflow)?;
        self.fee_aic = self.fee_aic.checked_add(fee_aic).ok_or(SettleError::Overflow)?;
        self.burned_aic = self.burned_aic.checked_add(burned).ok_or(SettleError::Overflow)?;
        Ok(())
    }
}
