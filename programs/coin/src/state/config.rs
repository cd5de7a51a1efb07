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
    /// The program whose `FeeDay` accounts bound releases; default until `init_release`.
    pub settlement: Pubkey,
    /// The wallet that vested tokens go to.
    pub team: Pubkey,
    /// When the usage schedule and the vesting begin, unix seconds; 0 until `init_release`.
    pub release_start: i64,
    /// What the team's vault has paid.
    pub team_paid_aic: u64,
    /// When a vested payment above the breaker's threshold may leave, unix seconds; 0 when none waits.
    pub team_due_at: i64,
    /// Room for later fields, zero.
    pub _reserved: [u8; 40],
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

    /// Records, once, whose fees bound releases and who is vested, from now on.
    pub fn init_release(&mut self, settlement: Pubkey, team: Pubkey, now: i64) -> Result<()> {
        require!(self.release_start == 0, CoinError::AlreadyConfigured);
        require!(settlement != Pubkey::default() && team != Pubkey::default(), CoinError::DefaultKey);
        require!(now > 0, CoinError::ClockWentBack);
        (self.settlement, self.team, self.release_start) = (settlement, team, now);
        Ok(())
    }

    /// Seconds since releases and vesting began.
    pub fn since_release_start(&self, now: i64) -> Result<u64> {
        require!(self.release_start > 0, CoinError::NotConfigured);
        let elapsed = now.checked_sub(self.release_start).and_then(|elapsed| u64::try_from(elapsed).ok());
        Ok(elapsed.ok_or(CoinError::ClockWentBack)?)
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
                && (self.minted || !self.revoked)
                && (self.release_start == 0) == (self.settlement == Pubkey::default())
                && (self.release_start == 0) == (self.team == Pubkey::default()),
            CoinError::Invariant
        );
        Ok(())
    }
}
