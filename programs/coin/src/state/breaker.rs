//! The breaker of a vault: how much left it lately, against which every outflow is held.

use anchor_lang::prelude::*;
use waybill_mechanism::{amount::bps_floor, breaker::Outflow};

use crate::{constants::BREAKER_FLOOR_BPS, error::CoinError};

/// PDA `["brk", vault]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct Breaker {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The vault, a token account.
    pub vault: Pubkey,
    /// What left in the last hour, linearly decayed, AIC base units.
    pub hour_aic: u64,
    /// What left in the last day, linearly decayed; a twenty-fourth is the hourly mean.
    pub day_aic: u64,
    /// When both sums were brought up to date, unix seconds.
    pub at: i64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

impl Breaker {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// A vault that has paid nothing.
    #[must_use]
    pub fn new(vault: Pubkey, bump: u8, rent_payer: Pubkey, now: i64) -> Self {
        Self { version: Self::VERSION, bump, vault, hour_aic: 0, day_aic: 0, at: now, rent_payer, _reserved: [0; 64] }
    }

    /// Whether a vault that holds `balance_aic` may pay `amount_aic` now without a delay.
    #[must_use]
    pub fn admits(&self, amount_aic: u64, balance_aic: u64, now: i64) -> bool {
        self.outflow().admits(amount_aic, bps_floor(balance_aic, BREAKER_FLOOR_BPS), now)
    }

    /// Counts an outflow, delayed or not.
    pub fn record(&mut self, amount_aic: u64, now: i64) -> Result<()> {
        let after = self.outflow().record(amount_aic, now).ok_or(CoinError::Overflow)?;
        (self.hour_aic, self.day_aic, self.at) = (after.hour_aic, after.day_aic, after.at);
        Ok(())
    }

    fn outflow(&self) -> Outflow {
        Outflow { hour_aic: self.hour_aic, day_aic: self.day_aic, at: self.at }
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION && self.vault != Pubkey::default() && self.hour_aic <= self.day_aic,
            CoinError::Invariant
        );
        Ok(())
    }
}
