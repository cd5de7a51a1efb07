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
