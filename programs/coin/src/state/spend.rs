//! A spend that the admin proposed and that waits.

use anchor_lang::prelude::*;

use crate::{
    constants::{SPEND_DELAY_S, SPEND_LIFE_S},
    error::CoinError,
    state::VaultKind,
};

/// PDA `["pend", kind, id]`; closed when it is executed or cancelled.
#[account]
#[derive(InitSpace, Debug)]
pub struct PendingSpend {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Which vault pays.
    pub kind: VaultKind,
    /// The admin's number for it.
    pub id: u32,
    /// Whom: a token account.
    pub destination: Pubkey,
    /// Base units.
    pub amount: u64,
    /// From when it can be executed, unix seconds.
    pub not_before: i64,
    /// From when it cannot any more, unix seconds.
    pub expires: i64,
    /// Who paid the rent and gets it back.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

impl PendingSpend {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// From when and until when a spend proposed now can be executed.
    pub fn times(now: i64) -> Result<(i64, i64)> {
        let not_before = now.checked_add(SPEND_DELAY_S).ok_or(CoinError::Overflow)?;
        Ok((not_before, not_before.checked_add(SPEND_LIFE_S).ok_or(CoinError::Overflow)?))
    }

    /// Refuses a moment before or after its time.
    pub fn require_due(&self, now: i64) -> Result<()> {
        require!(now >= self.not_before, CoinError::SpendNotDue);
        require!(now < self.expires, CoinError::SpendExpired);
        Ok(())
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.kind.proposable()
                && self.amount > 0
                && self.destination != Pubkey::default()
                && self.not_before < self.expires,
            CoinError::Invariant
        );
        Ok(())
    }
}
