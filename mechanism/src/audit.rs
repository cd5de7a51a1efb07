//! The audit lottery: which receipts of a batch are recomputed, how often a worker is drawn, and the slash that deters.

use solana_sha256_hasher::hashv;

use crate::amount::{BPS, mul_div_ceil};

/// `sha("AI-AUD" ‖ batch ‖ receipts_root ‖ slot_hash)`: known only after the batch is posted.
pub fn audit_seed(batch: &[u8; 32], receipts_root: &[u8; 32], slot_hash: &[u8; 32]) -> [u8; 32] {
    hashv(&[b"AI-AUD", batch, receipts_root, slot_hash]).to_bytes()
}

/// Point `draw` of the lottery, uniform in `[0, total_nc)`; `None` for an empty batch. The audited receipt is the one
/// whose `[prefix, prefix + price)` contains it.
pub fn audit_draw(seed: &[u8; 32], draw: u32, total_nc: u64) -> Option<u64> {
    draw_below(&hashv(&[seed, &draw.to_le_bytes()]).to_bytes(), total_nc)
}

/// Whether a leaf of `sum_nc` that starts at `prefix_nc` contains point `x`.
pub fn contains(prefix_nc: u64, sum_nc: u64, x: u64) -> bool {
    x.checked_sub(prefix_nc).is_some_and(|offset| offset < sum_nc)
}

/// Audit rate in bps after `passes` consecutive passes: `max(100, 2000·50/(50 + passes))`.
pub fn audit_rate_bps(passes: u64) -> u16 {
    let rate = 100_000 / passes.saturating_add(50);
    u16::try_from(rate.max(100)).unwrap_or(2_000)
}

/// The smallest slash that makes a cheat worth `gain_nc` unprofitable when caught with probability `caught_bps`:
/// `ceil(g·(1-λ)/λ)`. `None` when nothing is ever caught or the slash exceeds u64.
pub fn min_slash(gain_nc: u64, caught_bps: u16) -> Option<u64> {
    let missed = BPS.checked_sub(u64::from(caught_bps))?;
    mul_div_ceil(gain_nc, missed, u64::from(caught_bps))
}

/// `u128_le(digest[0..16]) mod below`; `None` when `below` is zero.
pub(crate) fn draw_below(digest: &[u8; 32], below: u64) -> Option<u64> {
    let (head, _) = digest.split_first_chunk::<16>()?;
    let point = u128::from_le_bytes(*head).checked_rem(u128::from(below))?;
    u64::try_from(point).ok()
}
