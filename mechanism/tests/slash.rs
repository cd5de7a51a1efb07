//! What a slash takes: everything adds up, nothing is taken twice, a stake that is too small is taken whole.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use waybill_mechanism::slash::{Bond, penalty, room};

#[test]
fn the_designs_rates_on_a_small_stake() {
    let bond = Bond { stake: 900, unbonding: 100 };
    let slash = bond.slash(50, bond.penalty(2_500).unwrap()).unwrap();
    assert_eq!((slash.restitution, slash.penalty), (50, 250));
    assert_eq!((slash.reporter, slash.harmed, slash.burned), (100, 75, 75));
    assert_eq!(slash.bond, Bond { stake: 600, unbonding: 100 });
    let whole = bond.slash(950, bond.penalty(10_000).unwrap()).unwrap();
    assert_eq!((whole.restitution, whole.penalty, whole.bond), (950, 50, Bond { stake: 0, unbonding: 0 }));
    assert_eq!((whole.reporter, whole.harmed, whole.burned), (20, 15, 15));
    assert_eq!(Bond { stake: u64::MAX, unbonding: 1 }.slash(0, 0).ok(), None, "no bond exceeds the supply");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_slash_adds_up(stake: u64, share in 0u64..=u64::MAX, wanted: u64, rate in 0u16..=10_000) {
        let bond = Bond { stake, unbonding: share % (u64::MAX - stake).max(1) };
        let total = bond.total().unwrap();
        let slash = bond.slash(wanted, bond.penalty(rate).unwrap()).unwrap();
        prop_assert_eq!(u128::from(slash.reporter) + u128::from(slash.harmed) + u128::from(slash.burned), u128::from(slash.penalty));
        prop_assert_eq!(slash.bond.total().unwrap() + slash.restitution + slash.penalty, total);
        prop_assert_eq!(slash.restitution, wanted.min(total));
        prop_assert!(slash.penalty <= penalty(total, rate).unwrap());
        prop_assert!(slash.penalty == penalty(total, rate).unwrap() || slash.bond.total().unwrap() == 0);
        prop_assert!(slash.bond.unbonding == bond.unbonding || slash.bond.stake == 0, "stake is taken first");
        prop_assert!(slash.burned >= slash.harmed && slash.burned - slash.harmed <= 2);
    }

    #[test]
    fn the_penalties_of_one_epoch_never_exceed_its_largest_rate(total in 0u64..1 << 60, rates in prop::collection::vec(0u16..=10_000, 1..20)) {
        let (mut taken, mut largest) = (0, 0);
        for rate in rates {
            largest = largest.max(rate);
            taken += penalty(total, rate).unwrap().min(room(total, largest, taken).unwrap());
            prop_assert!(taken <= penalty(total, largest).unwrap());
        }
    }
}
