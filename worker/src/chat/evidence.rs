//! Evidence for audits: at every position the token that was taken and the sixteen highest logits, cheap enough to take
//! always. The receipt names the record's hash, so the tokens are the worker's own word.

use sha2::{Digest, Sha256};

/// Logits per position in the record.
pub const TOP: usize = 16;
/// Bytes of one position: the taken token, then sixteen (token u32 LE, logit f32 LE) pairs, highest first, lower token
/// first among equals.
pub const POSITION: usize = 4 + TOP * 8;
/// Values compared at once against the lowest of the current top.
const BLOCK: usize = 32;

/// The highest logits of one position with their tokens, sorted.
pub(crate) type Top = [(f32, u32); TOP];

/// What is kept of a generation: one record per generated position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence(Vec<u8>);

impl Evidence {
    /// Reads a record; `None` when it has no whole number of positions.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        bytes.len().is_multiple_of(POSITION).then_some(Self(bytes))
    }

    /// Adds one position.
    pub(crate) fn add(&mut self, token: u32, top: &Top) {
        self.0.extend_from_slice(&token.to_le_bytes());
        for (logit, token) in top {
            self.0.extend_from_slice(&token.to_le_bytes());
            self.0.extend_from_slice(&logit.to_le_bytes());
        }
    }

    /// SHA-256 of the record: the receipt's `evidence_hash`.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// The tokens that were taken, in order.
    pub fn tokens(&self) -> Vec<u32> {
        self.0.chunks_exact(POSITION).map(|position| word(position, 0)).collect()
    }

    /// The highest logits of one position, as (token, logit); none past the end.
    pub fn logits(&self, position: usize) -> impl Iterator<Item = (u32, f32)> {
        let pairs = self.0.chunks_exact(POSITION).nth(position).and_then(|position| position.get(4..)).unwrap_or(&[]);
        pairs.chunks_exact(8).map(|pair| (word(pair, 0), f32::from_bits(word(pair, 4))))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The highest values with their indices, sorted; one pass that skips whole blocks.
pub(crate) fn top(logits: &[f32]) -> Top {
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

    #[test]
    fn a_record_is_read_back_as_it_was_taken() {
        let mut evidence = Evidence::default();
        evidence.add(3, &top(&[0.5, 1.5, -1.0, 1.25]));
        evidence.add(1, &top(&[9.0, 8.0]));
        let read = Evidence::from_bytes(evidence.as_bytes().to_vec());
        assert_eq!(read.as_ref(), Some(&evidence));
        assert_eq!(evidence.tokens(), [3, 1]);
        assert_eq!(evidence.logits(0).take(2).collect::<Vec<_>>(), [(1, 1.5), (3, 1.25)]);
        assert_eq!(evidence.logits(1).take(2).collect::<Vec<_>>(), [(0, 9.0), (1, 8.0)]);
        assert_eq!(evidence.logits(2).count(), 0);
        assert_eq!(Evidence::from_bytes(vec![0; POSITION - 1]), None);
    }

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
