//! The breaker before the pool's outflow to owners of earnings.

use anchor_lang::prelude::*;
use waybill_mechanism::breaker::Outflow;

use crate::{constants::POOL_FLOOR_AIC, error::SettleError};

/// `["brk", pool]`
#[account]
#[derive(InitSpace, Debug)]
pub struct PoolBreaker {
    pub version: u8,
    pub bump: u8,
    pub pool: Pubkey,
    /// What left in the last hour, linearly decayed, in AIC base units.
    pub hour_aic: u64,
    /// What left in the last day, linearly decayed; a twenty-fourth is the hourly mean.
    pub day_aic: u64,
    /// Unix second at which both sums were brought up to date.
    pub at: i64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 64],
}

impl PoolBreaker {
    /// Whether `amount_aic` may leave now without a delay.
    pub fn admits(&self, amount_aic: u64, now: i64) -> bool {
        self.outflow().admits(amount_aic, POOL_FLOOR_AIC, now)
    }

    /// Counts what leaves, delayed or not.
    pub fn record(&mut self, amount_aic: u64, now: i64) -> Result<()> {
        let after = self.outflow().record(amount_aic, now).ok_or(SettleError::Overflow)?;
        (self.hour_aic, self.day_aic, self.at) = (after.hour_aic, after.day_aic, after.at);
        Ok(())
    }

    fn outflow(&self) -> Outflow {
        Outflow { hour_aic: self.hour_aic, day_aic: self.day_aic, at: self.at }
    }

    pub fn invariant(&self) -> Result<()> {
        require!(self.hour_aic <= self.day_aic, SettleError::InvariantBroken);
        Ok(())
    }
}
