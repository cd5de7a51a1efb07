//! What the vaults of usage and team may pay by when: the usage schedule, its bound by the fees of a day, and vesting.

use crate::amount::{BPS, mul_div_floor};

/// Share of a day's fees that its release may reach, in bps.
pub const RHO_BPS: u64 = 6_000;
/// The share at which a washer who owns every role begins to earn by paying himself; a release never reaches it.
pub const RHO_BOUND_BPS: u64 = 8_000;
const _: () = assert!(RHO_BPS < RHO_BOUND_BPS);

/// Days between two halvings of the usage schedule.
pub const HALVING_DAYS: u32 = 365;
/// Seconds until the first vested token.
pub const CLIFF_S: u64 = 365 * 86_400;
/// Seconds until the last one.
pub const VESTING_S: u64 = 4 * CLIFF_S;

/// The most that day `index` (0 is the first) releases of `total_aic`: half of the total in the first 365 days, half of
/// the rest in the next 365, and so on, each day of such a year alike. Rounds down; all days together stay below the total.
#[must_use]
pub fn scheduled(total_aic: u64, index: u32) -> u64 {
    let year = total_aic.checked_shr((index / HALVING_DAYS).saturating_add(1)).unwrap_or(0);
    year / u64::from(HALVING_DAYS)
}

/// What a day releases: its schedule, or [`RHO_BPS`] of its fees where that is less. Rounds down.
#[must_use]
pub fn released(schedule_aic: u64, fee_aic: u64) -> u64 {
    // The share is below one whole, so the quotient fits.
    mul_div_floor(fee_aic, RHO_BPS, BPS).unwrap_or(0).min(schedule_aic)
}

/// What of `total_aic` has vested `elapsed_s` seconds after the start: nothing before the cliff, then linear to the end.
/// Rounds down.
#[must_use]
pub fn vested(total_aic: u64, elapsed_s: u64) -> u64 {
    if elapsed_s < CLIFF_S {
        return 0;
    }
    mul_div_floor(total_aic, elapsed_s.min(VESTING_S), VESTING_S).unwrap_or(0)
}
