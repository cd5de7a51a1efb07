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

/// Slots between the posting of a batch and the slot whose hash draws its audits: nobody knows it when the roots are
/// fixed.
pub const SEED_DELAY_SLOTS: u64 = 32;
/// How many slot hashes the chain remembers, and the distance between the slots that may seed a batch.
pub const SLOT_HASHES: u64 = 512;

/// The slot from which the seed is taken: the hash of the first slot at or after it. That is
/// `posted_slot + SEED_DELAY_SLOTS`; when nobody seeded while the chain remembered it (its `oldest` remembered slot is
/// later), the next of `posted_slot + SEED_DELAY_SLOTS + k·SLOT_HASHES` that is remembered. So at each moment exactly
/// one answer exists, and whoever calls chooses nothing. `None` when the slot number overflows.
pub fn seed_slot(posted_slot: u64, oldest: u64) -> Option<u64> {
    let first = posted_slot.checked_add(SEED_DELAY_SLOTS)?;
    let missed = oldest.saturating_sub(first).div_ceil(SLOT_HASHES);
    first.checked_add(missed.checked_mul(SLOT_HASHES)?)
}

/// Whether a draw spares its receipt because of the worker's record. A batch is drawn at the rate of a new worker
/// (`audit_rate_bps(0)`, 20 %); a draw of a worker with `passes` counts with probability
/// `audit_rate_bps(passes) / audit_rate_bps(0)`, decided by `sha("AI-SPARE" ‖ seed ‖ le32(draw))`.
pub fn is_spared(seed: &[u8; 32], draw: u32, passes: u64) -> bool {
    let base = u64::from(audit_rate_bps(0));
    let point = draw_below(&hashv(&[b"AI-SPARE", seed, &draw.to_le_bytes()]).to_bytes(), base);
    point.is_some_and(|point| point >= u64::from(audit_rate_bps(passes)))
}

/// Who takes chair `chair` of the panel of a draw, among `remaining` candidates in the order of their seats:
/// `u128_le(sha("AI-PANEL" ‖ seed ‖ le32(draw) ‖ chair)[0..16]) mod remaining`. `None` without candidates.
pub fn panel_pick(seed: &[u8; 32], draw: u32, chair: u8, remaining: usize) -> Option<usize> {
    let digest = hashv(&[b"AI-PANEL", seed, &draw.to_le_bytes(), &[chair]]).to_bytes();
    usize::try_from(draw_below(&digest, u64::try_from(remaining).ok()?)?).ok()
}

/// Audit rate in bps after `passes` consecutive passes: `max(100, 2000·50/(50 + passes))`.
pub fn audit_rate_bps(passes: u64) -> u16 {
    let rate = 100_000 / passes.saturating_add(50);
    u16::try_from(rate.max(100)).unwrap_or(2_000)
}

/// The commitment to a planted receipt: `sha("AI-CANARY" ‖ receipt_hash ‖ salt)`, published before the batch is drawn.
pub fn canary_commitment(receipt_hash: &[u8; 32], salt: &[u8; 32]) -> [u8; 32] {
    hashv(&[b"AI-CANARY", receipt_hash, salt]).to_bytes()
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
