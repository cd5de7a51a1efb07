//! Who may do what: the four keys every program keeps, their change in two steps, and the pause flags.
//! `market` and `settlement` use this module too, so that one page describes all authorities.

use anchor_lang::prelude::*;

/// Pause flags, one bit each, the same in every program.
pub mod pause {
    /// Deposits of stake or prepaid money.
    pub const DEPOSITS: u16 = 1 << 0;
    /// Registration of parties, nodes, artifacts and containers.
    pub const REGISTRATION: u16 = 1 << 1;
    /// Asks, offers, base prices and snapshots.
    pub const BIDS: u16 = 1 << 2;
    /// Posting of batches.
    pub const POSTING: u16 = 1 << 3;
    /// Opening of disputes.
    pub const DISPUTES: u16 = 1 << 4;
    /// Claims of lines.
    pub const CLAIMS: u16 = 1 << 5;
    /// Promotion.
    pub const PROMOTION: u16 = 1 << 6;
    /// Slashing.
    pub const SLASHING: u16 = 1 << 7;
    /// Spending from the coin's vaults.
    pub const SPENDING: u16 = 1 << 8;
    /// Submitting and rolling the rate.
    pub const RATE: u16 = 1 << 9;
    /// Settling of channels into gateway vaults.
    pub const SETTLING: u16 = 1 << 10;
    /// Withdrawals of final earnings: for at most 72 hours in 30 days, enforced by the settlement program.
    pub const WITHDRAWALS: u16 = 1 << 11;
    /// Every flag that has a meaning.
    pub const ALL: u16 = (1 << 12) - 1;
}

/// The authorities of a program. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AuthorityRole {
    /// Proposes authority changes and takes the decisions named as the admin's.
    Admin,
    /// Changes tunables within compiled bounds.
    Params,
    /// Sets pause flags; cannot clear them.
    Pause,
    /// Clears pause flags.
    Resume,
}

/// The holder of each [`AuthorityRole`].
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// See [`AuthorityRole::Admin`].
    pub admin: Pubkey,
    /// See [`AuthorityRole::Params`].
    pub params: Pubkey,
    /// See [`AuthorityRole::Pause`].
    pub pause: Pubkey,
    /// See [`AuthorityRole::Resume`].
    pub resume: Pubkey,
}

/// A proposed holder that has not accepted yet. The default key means that nothing is pending.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingAuthority {
    /// The role that would change hands.
    pub role: AuthorityRole,
    /// Who must sign `accept_authority`.
    pub key: Pubkey,
}

impl PendingAuthority {
    /// Nothing is proposed.
    #[must_use]
    pub fn none() -> Self {
        Self { role: AuthorityRole::Admin, key: Pubkey::default() }
    }
}

/// A refused change of authority; each program answers with its own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// The default key cannot hold a role.
    DefaultKey,
    /// The signer was not proposed.
    NothingPending,
}

impl Authorities {
    /// The holder of a role.
    #[must_use]
    pub fn holder(&self, role: AuthorityRole) -> Pubkey {
        match role {
            AuthorityRole::Admin => self.admin,
            AuthorityRole::Params => self.params,
            AuthorityRole::Pause => self.pause,
            AuthorityRole::Resume => self.resume,
        }
    }

    /// Whether every role has a holder.
    #[must_use]
    pub fn complete(&self) -> bool {
        [self.admin, self.params, self.pause, self.resume].iter().all(|key| *key != Pubkey::default())
    }

    /// Step one: records who may take over a role. A new proposal replaces the former one.
    ///
    /// # Errors
    /// [`AuthorityError::DefaultKey`] when the new key is the default key.
    pub fn propose(
        pending: &mut PendingAuthority,
        role: AuthorityRole,
        key: Pubkey,
    ) -> std::result::Result<(), AuthorityError> {
        if key == Pubkey::default() {
            return Err(AuthorityError::DefaultKey);
        }
        *pending = PendingAuthority { role, key };
        Ok(())
    }

    /// Step two: the proposed key takes the role. Returns the former holder.
    ///
    /// # Errors
    /// [`AuthorityError::NothingPending`] when the signer is not the proposed key.
    pub fn accept(
        &mut self,
        pending: &mut PendingAuthority,
        signer: Pubkey,
    ) -> std::result::Result<Pubkey, AuthorityError> {
        if pending.key == Pubkey::default() || pending.key != signer {
            return Err(AuthorityError::NothingPending);
        }
        let slot = match pending.role {
            AuthorityRole::Admin => &mut self.admin,
            AuthorityRole::Params => &mut self.params,
            AuthorityRole::Pause => &mut self.pause,
            AuthorityRole::Resume => &mut self.resume,
        };
        let old = std::mem::replace(slot, signer);
        *pending = PendingAuthority::none();
        Ok(old)
    }
}

/// Whether a signer may initialise a program: its upgrade authority, or anyone when there is none, which is
/// how a local chain installs programs. A public deployment has an upgrade authority from its first slot,
/// so nobody can initialise it before its owner.
#[must_use]
pub fn may_initialise(upgrade_authority: Option<Pubkey>, signer: &Pubkey) -> bool {
    upgrade_authority.is_none_or(|key| key == *signer)
}
