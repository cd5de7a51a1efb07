//! An ask: what a vendor, OEM or weaver wants per 1,000 BU, moved in steps and with notice.

use anchor_lang::prelude::*;
use waybill_mechanism::ask::step_ask;

use crate::{
    error::MarketError,
    state::{MarketParams, Role},
};

/// PDA `["ask", subject, role]`, updated in place. Amounts are nc per 1,000 BU.
#[account]
#[derive(InitSpace, Debug)]
pub struct Ask {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Vendor, OEM or weaver.
    pub role: Role,
    /// Who asks.
    pub owner: Pubkey,
    /// Hash of the artifact (vendor, OEM) or id of the container (weaver).
    pub subject: [u8; 32],
    /// The ask until `pending_epoch`.
    pub value_nc: u64,
    /// The ask from `pending_epoch` on.
    pub pending_nc: u64,
    /// The pricing epoch from which `pending_nc` counts; 0 = nothing is pending.
    pub pending_epoch: u32,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

impl Ask {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The ask in a pricing epoch.
    #[must_use]
    pub fn at(&self, pricing_epoch: u32) -> u64 {
        self.quote().at(pricing_epoch)
    }

    /// What a price reads.
    #[must_use]
    pub const fn quote(&self) -> Quote {
        Quote {
            role: self.role,
            subject: self.subject,
            value_nc: self.value_nc,
            pending_nc: self.pending_nc,
            pending_epoch: self.pending_epoch,
        }
    }

    /// Moves the ask one step towards `want_nc`, from the first pricing epoch that the notice allows.
    /// Posting again before then replaces the step; an ask whose epoch may be freezing already stays.
    /// Returns the value and the pricing epoch it counts from.
    pub fn post(&mut self, want_nc: u64, now: i64, params: &MarketParams) -> Result<(u64, u32)> {
        let current = params.pricing_epoch(now)?;
        let effective = params.ask_epoch(now)?;
        require!(self.pending_epoch <= current || self.pending_epoch >= effective, MarketError::AskFrozen);
        self.value_nc = self.at(current);
        self.pending_nc = step_ask(self.value_nc, want_nc, params.step_up_bps, params.step_down_bps, u64::MAX)
            .map_err(|_| MarketError::Overflow)?;
        self.pending_epoch = effective;
        Ok((self.pending_nc, effective))
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.owner != Pubkey::default()
                && matches!(self.role, Role::Vendor | Role::Oem | Role::Weaver),
            MarketError::Invariant
        );
        Ok(())
    }
}

coin::view! {
    /// What a price reads of an [`Ask`].
    Quote of Ask {
        /// See [`Ask::role`].
        role: Role = 10,
        /// See [`Ask::subject`].
        subject: [u8; 32] = 43,
        /// See [`Ask::value_nc`].
        value_nc: u64 = 75,
        /// See [`Ask::pending_nc`].
        pending_nc: u64 = 83,
        /// See [`Ask::pending_epoch`].
        pending_epoch: u32 = 91,
    }
}

impl Quote {
    /// The ask in a pricing epoch.
    #[must_use]
    pub const fn at(&self, pricing_epoch: u32) -> u64 {
        if self.pending_epoch != 0 && pricing_epoch >= self.pending_epoch { self.pending_nc } else { self.value_nc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::config::tests::params;

    #[test]
    fn the_view_is_the_accounts() {
        let ask = Ask { pending_nc: 5, pending_epoch: 6, seq: 7, ..ask(4) };
        let mut bytes = Vec::new();
        ask.try_serialize(&mut bytes).unwrap();
        assert_eq!(Quote::try_deserialize(&mut bytes.as_slice()).unwrap(), ask.quote());
    }

    fn ask(value_nc: u64) -> Ask {
        Ask {
            version: Ask::VERSION,
            bump: 1,
            role: Role::Vendor,
            owner: Pubkey::new_from_array([1; 32]),
            subject: [2; 32],
            value_nc,
            pending_nc: 0,
            pending_epoch: 0,
            seq: 0,
            rent_payer: Pubkey::default(),
            _reserved: [0; 64],
        }
    }

    #[test]
    fn an_ask_moves_one_step_from_the_next_pricing_epoch_on() {
        let params = params();
        let mut ask = ask(2_600);
        assert_eq!(ask.post(9_000, 0, &params).unwrap(), (2_730, 1));
        assert_eq!((ask.at(0), ask.at(1), ask.at(9)), (2_600, 2_730, 2_730));
        assert_eq!(ask.post(100, 10, &params).unwrap(), (2_340, 1));
        assert_eq!(ask.post(9_000, 2_400, &params).unwrap(), (2_457, 2));
        assert_eq!((ask.at(1), ask.at(2)), (2_340, 2_457));
    }

    #[test]
    fn an_ask_that_may_be_frozen_in_a_snapshot_cannot_be_replaced() {
        let params = params();
        let mut ask = ask(2_600);
        ask.post(9_000, 0, &params).unwrap();
        assert_eq!(ask.post(9_000, 2_300, &params).unwrap_err(), MarketError::AskFrozen.into());
        assert_eq!(ask.post(9_000, 2_400, &params).unwrap(), (2_866, 2));
    }
}
