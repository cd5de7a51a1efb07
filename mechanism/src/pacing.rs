//! Pacing of a promotion budget: the multiplier λ that scales a bid so that spending meets its target.

use crate::amount::bps_floor;

/// Smallest λ.
pub const MIN_PACE_BPS: u16 = 500;
/// Largest λ: the bid itself.
pub const MAX_PACE_BPS: u16 = 10_000;

const ONE: i128 = 10_000;
const GAIN: i128 = 2_000;

/// The next λ from what an interval spent of its target: `λ + (λ·2000/10⁴)·err/10⁴`, floor divisions, with
/// `err = (target - spent)·10⁴ / max(1, target)` clamped to ±10⁴ and λ to `[500, 10 000]`.
pub fn next_pace(pace_bps: u16, target_nc: u64, spent_nc: u64) -> u16 {
    let difference = i128::from(target_nc) - i128::from(spent_nc);
    let error = (difference * ONE).div_euclid(i128::from(target_nc.max(1))).clamp(-ONE, ONE);
    let pace = i128::from(pace_bps);
    let next = pace + (pace * GAIN / ONE * error).div_euclid(ONE);
    let bounded = next.clamp(i128::from(MIN_PACE_BPS), i128::from(MAX_PACE_BPS));
    u16::try_from(bounded).unwrap_or(MAX_PACE_BPS)
}

/// `floor(bid·λ / 10⁴)`.
pub fn paced_bid(bid_nc: u64, pace_bps: u16) -> u64 {
    bps_floor(bid_nc, pace_bps)
}
