//! An artifact: one model file, named by its hash, with the parties that are paid when it runs.

use anchor_lang::prelude::*;

use crate::{
    constants::{MAX_LICENCE, MAX_NAME, ROYALTY_ROOM},
    error::MarketError,
};

/// PDA `["art", hash]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct Artifact {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// SHA-256 of the model file.
    pub hash: [u8; 32],
    /// Owner of the model.
    pub vendor: Pubkey,
    /// Who optimised it for hardware; the default key = nobody, share 0.
    pub oem: Pubkey,
    /// Size of the model file in bytes.
    pub size: u64,
    /// When it was registered, unix seconds.
    pub registered_at: i64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for the royalty table of derived models, zero.
    pub _royalties: [u8; ROYALTY_ROOM],
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
    /// Name for people.
    #[max_len(MAX_NAME)]
    pub name: String,
    /// SPDX identifier or short name of the licence.
    #[max_len(MAX_LICENCE)]
    pub licence: String,
}

impl Artifact {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The OEM, if there is one.
    #[must_use]
    pub fn oem(&self) -> Option<Pubkey> {
        (self.oem != Pubkey::default()).then_some(self.oem)
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
                && self.vendor != Pubkey::default()
                && (1..=MAX_NAME).contains(&self.name.len())
                && self.licence.len() <= MAX_LICENCE,
            MarketError::Invariant
        );
        Ok(())
    }
}
