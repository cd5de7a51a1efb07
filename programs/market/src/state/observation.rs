//! An observation: the demand that one gateway last reported in one market.

use anchor_lang::prelude::*;
use waybill_mechanism::amount::{mul_div_floor, price_nc};

use crate::{constants::OBSERVE_STAKES, error::MarketError};

/// PDA `["obs", market, gateway]`, updated in place.
#[account]
#[derive(InitSpace, Debug)]
pub struct Observation {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The market's address.
    pub market: Pubkey,
    /// The gateway that reported.
    pub gateway: Pubkey,
    /// The pricing epoch in which it reported; the report is about the one before.
    pub pricing_epoch: u32,
    /// Served and unserved units together, BU.
    pub units: u64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 32],
}

impl Observation {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Stores a report and returns the one it replaces, if that is of the same pricing epoch.
    pub fn report(&mut self, pricing_epoch: u32, units: u64) -> Option<u64> {
        let old = (self.pricing_epoch == pricing_epoch).then_some(self.units);
        (self.pricing_epoch, self.units) = (pricing_epoch, units);
        old
    }

    /// Refuses a report that is worth more at the base price than [`OBSERVE_STAKES`] times the gateway's stake. What a
    /// lie can move is bounded by what the liar has at stake. `rate` is AIC base units per USD.
    pub fn require_backed(units: u64, base_nc: u64, stake_aic: u64, rate: u64) -> Result<()> {
        let worth_nc = price_nc(units, base_nc).ok_or(MarketError::DemandAboveStake)?;
        let stake_nc = mul_div_floor(stake_aic, waybill_mechanism::amount::NC_PER_USD, rate)
            .and_then(|nc| nc.checked_mul(OBSERVE_STAKES))
            .unwrap_or(u64::MAX);
        require!(worth_nc <= stake_nc, MarketError::DemandAboveStake);
        Ok(())
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION && self.gateway != Pubkey::default() && self.market != Pubkey::default(),
            MarketError::Invariant
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_worth_at_most_four_times_the_stake() {
        // $500 at $0.05 per AIC: reports of up to $2,000, 200,000 units at $0.01 each.
        let (stake, rate) = (10_000_000_000_000, 20_000_000_000);
        Observation::require_backed(200_000, 10_000_000_000, stake, rate).unwrap();
        let more = Observation::require_backed(200_001, 10_000_000_000, stake, rate).unwrap_err();
        assert_eq!(more, MarketError::DemandAboveStake.into());
        assert!(Observation::require_backed(u64::MAX, u64::MAX, stake, rate).is_err());
        assert!(Observation::require_backed(1, 1, 0, rate).is_err());
        Observation::require_backed(0, u64::MAX, 0, rate).unwrap();
    }
}
