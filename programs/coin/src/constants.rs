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
/// The vaults from which `spend_vault` pays at once, within their breaker.
pub const SPENDABLE: [VaultKind; 2] = [VaultKind::Grants, VaultKind::Liquidity];
/// The vaults from which a proposed spend pays after [`SPEND_DELAY_S`]. Usage and team follow schedules.
pub const PROPOSABLE: [VaultKind; 4] =
    [VaultKind::Treasury, VaultKind::Grants, VaultKind::Liquidity, VaultKind::Insurance];
/// How long a proposed spend waits, in seconds: a day in which it can be seen, cancelled and paused.
pub const SPEND_DELAY_S: i64 = 86_400;
/// How long after that it can be executed, in seconds: a forgotten proposal is no standing order.
pub const SPEND_LIFE_S: i64 = 14 * 86_400;
/// What an hour may take from a vault whatever left it before, in bps of its balance.
pub const BREAKER_FLOOR_BPS: u16 = 100;
/// How long after the end of a day its fees are final, in seconds.
pub const RELEASE_AFTER_S: i64 = 48 * 3_600;
/// Seconds in the day that numbers a release.
pub const DAY_S: i64 = 86_400;

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
