//! Evidence for audits: a running hash of the sixteen highest logits at every position, cheap enough to take always.

use sha2::{Digest, Sha256};

/// Logits per position that enter the hash.
pub(crate) const TOP: usize = 16;
/// Values compared at once against the lowest of the current top.
const BLOCK: usize = 32;

/// `sha256` over, for each generated position, the sixteen (token u32 LE, logit f32 LE) pairs, highest first, lower token
/// first among equals.
#[derive(Clone, Default)]
pub(crate) struct Evidence(Sha256);

impl Evidence {
    /// Adds one position and returns its best token.
    pub fn add(&mut self, logits: &[f32]) -> u32 {
        let top = top(logits);
        let mut bytes = [0; TOP * 8];
        for (slot, (logit, token)) in bytes.chunks_exact_mut(8).zip(&top) {
            slot[..4].copy_from_slice(&token.to_le_bytes());
            slot[4..].copy_from_slice(&logit.to_le_bytes());
        }
        self.0.update(bytes);
        top[0].1
    }

    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The highest values with their indices, sorted; one pass that skips whole blocks.
fn top(logits: &[f32]) -> [(f32, u32); TOP] {
    let mut top = [(f32::NEG_INFINITY, u32::MAX); TOP];
    for (base, block) in (0u32..).step_by(BLOCK).zip(logits.chunks(BLOCK)) {
        let lowest = top[TOP - 1].0;
        // Eight lanes, so that the comparison of a block compiles to vector instructions.
        let mut lanes = [f32::NEG_INFINITY; 8];
        let (eights, rest) = block.as_chunks::<8>();
        for eight in eights {
            for (lane, value) in lanes.iter_mut().zip(eight) {
                *lane = if *value > *lane { *value } else { *lane };
            }
        }
        if !lanes.iter().chain(rest).any(|value| *value > lowest) {
            continue;
        }
        for (index, &value) in (base..).zip(block) {
            if value > top[TOP - 1].0 {
                let at = top.partition_point(|entry| entry.0 >= value);
                top.copy_within(at..TOP - 1, at + 1);
                top[at] = (value, index);
            }
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_top_equals_a_full_sort(values in prop::collection::vec(-4i8..4, 0..300)) {
            let logits: Vec<f32> = values.iter().map(|v| f32::from(*v)).collect();
            let mut sorted: Vec<(f32, u32)> = logits.iter().copied().zip(0..).collect();
            sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            sorted.resize(TOP.max(sorted.len()), (f32::NEG_INFINITY, u32::MAX));
            prop_assert_eq!(&top(&logits)[..], &sorted[..TOP]);
        }
    }
}
