//! The coin program's configuration: authorities, pause flags, and how far genesis went.

use anchor_lang::prelude::*;

use crate::{
    authority::{Authorities, PendingAuthority, pause},
    constants::VAULTS,
    error::CoinError,
    state::VaultKind,
};

/// PDA `["cfg"]`, one per deployment.
#[account]
#[derive(InitSpace, Debug)]
pub struct CoinConfig {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Bump of the mint, which is its own authority until it is revoked.
    pub mint_bump: u8,
    /// Bumps of the vaults that exist, in the order of [`VaultKind`]; see `vaults`.
    pub vault_bumps: [u8; VAULTS],
    /// Bit `kind` is set when that vault exists.
    pub vaults: u8,
    /// The supply was minted.
    pub minted: bool,
    /// The mint authority was given up for good.
    pub revoked: bool,
    /// Pause flags, see [`pause`].
    pub pause_flags: u16,
    /// The AIC mint.
    pub mint: Pubkey,
    /// Who may do what.
    pub authorities: Authorities,
    /// A proposed change of authority.
    pub pending: PendingAuthority,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 128],
}

impl CoinConfig {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Refuses when one of the flags is set.
    pub fn require_running(&self, flags: u16) -> Result<()> {
        require!(self.pause_flags & flags == 0, CoinError::Paused);
        Ok(())
    }

    /// Whether a vault was opened.
    #[must_use]
    pub fn has_vault(&self, kind: VaultKind) -> bool {
        self.vaults & (1 << kind as u8) != 0
    }

    /// Records a vault that was just created.
    pub fn open_vault(&mut self, kind: VaultKind, bump: u8) {
        self.vaults |= 1 << kind as u8;
        self.vault_bumps[kind.index()] = bump;
    }

    /// Records that the supply was minted.
    pub fn mint_supply(&mut self) -> Result<()> {
        require!(!self.minted, CoinError::AlreadyMinted);
        self.minted = true;
        Ok(())
    }

    /// Records that nobody can mint any more.
    pub fn revoke_mint(&mut self) -> Result<()> {
        require!(self.minted, CoinError::NotMinted);
        require!(!self.revoked, CoinError::AlreadyRevoked);
        self.revoked = true;
        Ok(())
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(CoinError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.authorities.complete()
                && self.pause_flags & !pause::ALL == 0
                && (self.minted || !self.revoked),
            CoinError::Invariant
        );
        Ok(())
    }
}
