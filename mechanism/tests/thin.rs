//! The price of a book with too few owners: it follows the utilisation, by at most an eighth down.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use waybill_mechanism::clearing::{next_base, thin_marginal};

#[test]
fn the_price_stands_still_where_the_utilisation_is_wanted() {
    // 25 % of headroom: 80 % of the capacity is wanted.
    assert_eq!(thin_marginal(12_154, &[1_000], 800, 2_500).unwrap(), Some(12_154));
    // Half of that: an eighth of a half down; twice that: an eighth up.
    assert_eq!(thin_marginal(12_154, &[1_000], 400, 2_500).unwrap(), Some(12_154 - 759));
    assert_eq!(thin_marginal(12_154, &[600, 400], 1_600, 2_500).unwrap(), Some(12_154 + 1_519));
    assert_eq!(thin_marginal(12_154, &[0; 64], 0, 2_500).unwrap(), None, "no capacity is scarcity");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_thin_book_moves_the_way_of_its_utilisation_and_never_falls_by_more_than_an_eighth(
        base in 1u64.., capacity in prop::collection::vec((any::<u64>(), 0u32..64).prop_map(|(c, s)| c >> s), 1..64), demand: u64, headroom in 0u16..=10_000,
    ) {
        let supply: u128 = capacity.iter().copied().map(u128::from).sum();
        let quantity = (u128::from(demand) * u128::from(10_000 + u32::from(headroom))).div_ceil(10_000);
        let Some(price) = thin_marginal(base, &capacity, demand, headroom).unwrap() else {
            prop_assert_eq!(supply, 0);
            return Ok(());
        };
        prop_assert!(price >= base - base / 8 - 1);
        if quantity > supply { prop_assert!(price >= base) }
        if quantity < supply { prop_assert!(price <= base) }
        let more = thin_marginal(base, &capacity, demand.saturating_add(demand / 4 + 1), headroom).unwrap().unwrap();
        prop_assert!(more >= price, "more demand never lowers the price");
        let next = next_base(base, Some(price), 1, u64::MAX, 500, 1_000).unwrap();
        prop_assert!(u128::from(next) <= u128::from(base) + u128::from(base / 20).max(1) && next >= base - (base / 10).max(1).min(base - 1));
    }
}
