//! A seat: what one owner's workers offer in one market together. It counts owners and holds each to its part of the book.

use anchor_lang::prelude::*;

use crate::error::MarketError;

/// PDA `["seat", market, owner]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct Seat {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The market's address.
    pub market: Pubkey,
    /// The provider's wallet.
    pub owner: Pubkey,
    /// Capacity of all its offers, BU per pricing epoch.
    pub capacity: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 32],
}

impl Seat {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Replaces the capacity of one offer by another and returns what the seat had before.
    pub fn replace(&mut self, old: u64, new: u64) -> Result<u64> {
        let had = self.capacity;
        let rest = had.checked_sub(old).ok_or(MarketError::Invariant)?;
        self.capacity = rest.checked_add(new).ok_or(MarketError::Overflow)?;
        Ok(had)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION && self.owner != Pubkey::default() && self.market != Pubkey::default(),
            MarketError::Invariant
        );
        Ok(())
    }
}
