//! The six vaults of the supply: plain token accounts, each its own authority.

use anchor_lang::prelude::*;

use crate::constants::{PROPOSABLE, SPENDABLE};

/// What a vault is for, its seed. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum VaultKind {
    /// Rewards for paid usage.
    Usage,
    /// Treasury.
    Treasury,
    /// Team, vested.
    Team,
    /// Grants.
    Grants,
    /// Liquidity.
    Liquidity,
    /// Insurance; also takes the remainders of batches.
    Insurance,
}

impl VaultKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; crate::constants::VAULTS] =
        [Self::Usage, Self::Treasury, Self::Team, Self::Grants, Self::Liquidity, Self::Insurance];

    /// Index into arrays that hold one element per vault.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self as u8)
    }

    /// Whether a spend from it may be proposed.
    #[must_use]
    pub fn proposable(self) -> bool {
        PROPOSABLE.contains(&self)
    }

    /// Whether `spend_vault` may pay from it at once.
    #[must_use]
    pub fn spendable(self) -> bool {
        SPENDABLE.contains(&self)
    }
}
