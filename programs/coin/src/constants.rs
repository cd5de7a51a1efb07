//! Compiled-in facts and bounds. What an authority may tune lives in accounts.

use crate::state::VaultKind;

/// Decimals of the AIC mint.
pub const DECIMALS: u8 = 9;
/// The whole supply, one billion AIC in base units. Nothing is ever minted after genesis.
pub const SUPPLY: u64 = 1_000_000_000_000_000_000;
/// How many vaults hold the supply at genesis.
pub const VAULTS: usize = 6;
/// Share of the supply each vault receives at genesis, in bps, in the order of [`VaultKind`].
pub const GENESIS_BPS: [u16; VAULTS] = [3_000, 2_000, 1_500, 1_500, 1_500, 500];
/// The vaults from which `spend_vault` may pay. Usage and team follow schedules, insurance pays losses.
pub const SPENDABLE: [VaultKind; 3] = [VaultKind::Treasury, VaultKind::Grants, VaultKind::Liquidity];

/// Most reporters of the rate.
pub const MAX_REPORTERS: usize = 5;
/// How far one roll may move the rate, in bps of the old rate.
pub const RATE_STEP_BPS: u64 = 1_000;
/// A rate older than this many rate epochs is stale: money paths refuse it.
pub const RATE_MAX_AGE: u32 = 2;
/// Bounds of any submitted rate, in base units per USD: $1,000 down to $0.000001 per AIC.
pub const RATE_MIN: u64 = 1_000_000;
/// See [`RATE_MIN`].
pub const RATE_MAX: u64 = 1_000_000_000_000_000;
/// Bounds of an epoch's length in seconds, in every program: 10 s (tests, local networks) to a day.
pub const EPOCH_MIN_S: u32 = 10;
/// See [`EPOCH_MIN_S`].
pub const EPOCH_MAX_S: u32 = 86_400;
