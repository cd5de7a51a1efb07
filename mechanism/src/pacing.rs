//! Pacing of a promotion budget: the multiplier λ that scales a bid so that spending meets its target.

use crate::amount::{bps_floor, mul_div_ceil, mul_div_floor};

/// Smallest λ.
pub const MIN_PACE_BPS: u16 = 500;
/// Largest λ: the bid itself.
pub const MAX_PACE_BPS: u16 = 10_000;

const ONE: u64 = 10_000;
const GAIN: u64 = 2_000;

/// The next λ from what an interval spent of its target: `λ + (λ·2000/10⁴)·err/10⁴`, floor divisions, with
/// `err = (target - spent)·10⁴ / max(1, target)` clamped to ±10⁴ and λ to `[500, 10 000]`.
pub fn next_pace(pace_bps: u16, target_nc: u64, spent_nc: u64) -> u16 {
    let pace = u64::from(pace_bps);
    let step = pace * GAIN / ONE;
    let of_target = target_nc.max(1);
    // Unsigned, because SBF has no signed division: what is below zero rounds down by rounding its size up.
    let next = if spent_nc <= target_nc {
        let error = mul_div_floor(target_nc - spent_nc, ONE, of_target).unwrap_or(ONE).min(ONE);
        pace + step * error / ONE
    } else {
        let error = mul_div_ceil(spent_nc - target_nc, ONE, of_target).unwrap_or(ONE).min(ONE);
        pace.saturating_sub((step * error).div_ceil(ONE))
    };
    let bounded = next.clamp(u64::from(MIN_PACE_BPS), u64::from(MAX_PACE_BPS));
    u16::try_from(bounded).unwrap_or(MAX_PACE_BPS)
}

/// `floor(bid·λ / 10⁴)`.
pub fn paced_bid(bid_nc: u64, pace_bps: u16) -> u64 {
    bps_floor(bid_nc, pace_bps)
}
