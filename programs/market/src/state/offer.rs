//! An offer: the capacity one worker puts into a market's book.

use anchor_lang::prelude::*;

use crate::{constants::TICKS, error::MarketError};

/// PDA `["offer", market, worker]`, updated in place.
#[account]
#[derive(InitSpace, Debug)]
pub struct Offer {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The market's address.
    pub market: Pubkey,
    /// The worker's network key.
    pub worker: Pubkey,
    /// The lowest price the worker serves at, as a tick of the book.
    pub tick: u8,
    /// BU per pricing epoch; 0 takes the offer out of the book.
    pub capacity: u64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// The provider's wallet that posted it.
    pub owner: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 32],
}

impl Offer {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(self.version == Self::VERSION && usize::from(self.tick) < TICKS, MarketError::Invariant);
        Ok(())
    }
}
