//! Every seed of this program's accounts and the functions that find them. The first seed is the account's type.

use anchor_lang::prelude::Pubkey;

use crate::{ID, state::VaultKind};

/// Seed of [`crate::state::CoinConfig`].
pub const CONFIG: &[u8] = b"cfg";
/// Seed of the AIC mint.
pub const MINT: &[u8] = b"mint";
/// First seed of a vault, followed by its kind.
pub const VAULT: &[u8] = b"vault";
/// Seed of [`crate::state::Rate`].
pub const RATE: &[u8] = b"rate";

/// First seed of [`crate::state::Breaker`], followed by its vault.
pub const BREAKER: &[u8] = b"brk";
/// First seed of [`crate::state::Release`], followed by its day.
pub const RELEASE: &[u8] = b"rel";
/// First seed of [`crate::state::PendingSpend`], followed by the vault's kind and an id.
pub const PENDING: &[u8] = b"pend";
/// Seed of the token account whose tokens anyone may burn.
pub const BURN: &[u8] = b"burn";
/// Seed of the settlement program's fee days, followed by the day.
pub const FEE_DAY: &[u8] = b"feeday";

/// Address and bump of the configuration.
#[must_use]
pub fn find_config() -> (Pubkey, u8) {
    Pubkey::find_program_address(&[CONFIG], &ID)
}

/// Address and bump of the AIC mint.
#[must_use]
pub fn find_mint() -> (Pubkey, u8) {
    Pubkey::find_program_address(&[MINT], &ID)
}

/// Address and bump of a vault, which is a token account that is its own authority.
#[must_use]
pub fn find_vault(kind: VaultKind) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[VAULT, &[kind as u8]], &ID)
}

/// Address and bump of the rate.
#[must_use]
pub fn find_rate() -> (Pubkey, u8) {
    Pubkey::find_program_address(&[RATE], &ID)
}

/// Address and bump of a vault's breaker.
#[must_use]
pub fn find_breaker(vault: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[BREAKER, vault.as_ref()], &ID)
}

/// Address and bump of the record of a day's release; days count from 1970.
#[must_use]
pub fn find_release(day: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[RELEASE, &day.to_le_bytes()], &ID)
}

/// Address and bump of a proposed spend.
#[must_use]
pub fn find_spend(kind: VaultKind, id: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[PENDING, &[kind as u8], &id.to_le_bytes()], &ID)
}

/// Address and bump of the token account whose tokens anyone may burn.
#[must_use]
pub fn find_burn() -> (Pubkey, u8) {
    Pubkey::find_program_address(&[BURN], &ID)
}
