//! Routing of class requests: a container's weight from its quality and price, and the recomputable pick.

use alloc::vec::Vec;

use solana_sha256_hasher::hashv;

use crate::amount::{AmountError, require};
use crate::audit::draw_below;

/// Largest price sensitivity θ.
pub const MAX_THETA: u32 = 64;

/// `floor(2²⁰·(q·p_min / (q_max·p))^θ)` in Q32 arithmetic; 2²⁰ is the weight of the best and cheapest container.
/// Qualities are basis points, prices nc per 1 000 BU.
pub fn route_weight(q: u16, price_nc: u64, q_max: u16, p_min_nc: u64, theta: u32) -> Result<u64, AmountError> {
    require(q > 0 && q <= q_max && p_min_nc > 0 && price_nc >= p_min_nc && (1..=MAX_THETA).contains(&theta))?;
    // 16 + 64 + 32 bits; the quotient is at most 1 in Q32, and so is every power of it.
    let x = ((u128::from(q) * u128::from(p_min_nc)) << 32) / (u128::from(q_max) * u128::from(price_nc));
    let mut power = 1u128 << 32;
    for bit in (0..u32::BITS - theta.leading_zeros()).rev() {
        power = (power * power) >> 32;
        if theta >> bit & 1 == 1 {
            power = (power * x) >> 32;
        }
    }
    u64::try_from((power << 20) >> 32).map_err(|_| AmountError::Overflow)
}

/// Weights of the containers of one lineage when they stand together: in proportion to their own, and together as much
/// as what a request inside the lineage meets, the mean of their weights weighted with themselves. So equal copies add
/// nothing, a copy nobody would choose takes nothing away, and a cheap decoy cannot attract traffic for dear copies as
/// it could if the best weight stood for all. Rounded down; weights as [`route_weight`] gives them.
pub fn nest_weights(weights: &[u64]) -> Vec<u64> {
    let total: u128 = weights.iter().copied().map(u128::from).sum();
    let squares = weights.iter().map(|w| u128::from(*w) * u128::from(*w)).fold(0u128, u128::saturating_add);
    let together = squares.checked_div(total).unwrap_or(0);
    // The mean is at most the largest weight, so each product of two 64-bit numbers fits.
    let nested = |weight: &u64| (together * u128::from(*weight)).checked_div(total).unwrap_or(0);
    weights.iter().map(|weight| u64::try_from(nested(weight)).unwrap_or(u64::MAX)).collect()
}

/// The candidate a request goes to: `u128_le(sha("AI-RT" ‖ request_hash ‖ epoch_seed ‖ attempt)[0..16]) mod Σw` falls
/// into its range of the cumulative weights. `None` when all weights are zero.
pub fn pick(request_hash: &[u8; 32], epoch_seed: &[u8; 32], attempt: u8, weights: &[u64]) -> Option<usize> {
    let total = weights.iter().try_fold(0u64, |sum, weight| sum.checked_add(*weight))?;
    let digest = hashv(&[b"AI-RT", request_hash, epoch_seed, &[attempt]]).to_bytes();
    let mut point = draw_below(&digest, total)?;
    weights.iter().position(|weight| match point.checked_sub(*weight) {
        Some(rest) => {
            point = rest;
            false
        }
        None => true,
    })
}
