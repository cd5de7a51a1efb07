//! The value-weighted draw: which receipts of a batch are audited. A function of the seed and the receipts' prices alone, so
//! anyone who has the batch's data draws the same.

use waybill_mechanism::{audit::audit_draw, merkle::Node};

/// Draw number `draw` hit this leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    pub draw: u32,
    pub leaf: u32,
}

/// The first `count` draws over the receipts tree's leaves. A receipt may be drawn more than once; none of a batch without
/// value.
pub fn draws(seed: &[u8; 32], count: u16, leaves: &[Node]) -> Vec<Draw> {
    let mut ends = Vec::with_capacity(leaves.len());
    let mut total = 0u64;
    for leaf in leaves {
        // A batch's sum fits u64, or it could not have been built.
        total = total.saturating_add(leaf.sum);
        ends.push(total);
    }
    let hit = |draw: u32| {
        let x = audit_draw(seed, draw, total)?;
        let leaf = u32::try_from(ends.partition_point(|end| *end <= x)).ok()?;
        Some(Draw { draw, leaf })
    };
    (0..u32::from(count)).map_while(hit).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use waybill_mechanism::audit::contains;

    fn leaves(sums: &[u64]) -> Vec<Node> {
        sums.iter().map(|sum| Node { hash: [0; 32], sum: *sum }).collect()
    }

    /// The golden vector of the mechanism: five receipts, four draws.
    #[test]
    fn the_golden_draws_hit_the_golden_receipts() {
        let mut seed = [0; 32];
        hex::decode_to_slice("1b9a51e811541b75ee7cb71879b1b7bc792cde0d4d3eb4c964575cd861a22705", &mut seed).unwrap();
        let drawn = draws(&seed, 4, &leaves(&[412_500, 239_250, 475_200, 24_750, 825_000]));
        assert_eq!(drawn.iter().map(|draw| draw.leaf).collect::<Vec<_>>(), [2, 0, 4, 1]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_nothing_without_value() {
        assert_eq!(draws(&[1; 32], 10, &[]), []);
        assert_eq!(draws(&[1; 32], 10, &leaves(&[0, 0])), []);
        assert!(draws(&[1; 32], 200, &leaves(&[0, 5, 0])).iter().all(|draw| draw.leaf == 1));
    }

    proptest! {
        #[test]
        fn a_draw_hits_the_leaf_that_contains_its_point(seed: [u8; 32], sums in prop::collection::vec(0u64..1_000, 1..40)) {
            let leaves = leaves(&sums);
            let total: u64 = sums.iter().sum();
            for Draw { draw, leaf } in draws(&seed, 20, &leaves) {
                let prefix: u64 = sums[..leaf as usize].iter().sum();
                prop_assert!(contains(prefix, sums[leaf as usize], audit_draw(&seed, draw, total).unwrap()));
            }
        }
    }
}
