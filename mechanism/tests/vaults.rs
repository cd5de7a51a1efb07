//! Properties of what vaults may pay: releases, vesting and the outflow breaker.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use waybill_mechanism::{
    amount::BPS,
    breaker::{DAY_S, FACTOR, HOUR_S, Outflow},
    release::{CLIFF_S, HALVING_DAYS, RHO_BOUND_BPS, VESTING_S, released, scheduled, vested},
};

/// 300 million AIC.
const USAGE: u64 = 300_000_000_000_000_000;

#[test]
fn the_example_of_the_design() {
    assert_eq!(released(5_000, 900), 540);
    assert_eq!(released(500, 900), 500);
}

#[test]
fn the_schedule_halves_every_year_and_stays_below_the_total() {
    assert_eq!(scheduled(USAGE, 0), 150_000_000_000_000_000 / 365);
    assert_eq!(scheduled(USAGE, HALVING_DAYS - 1), scheduled(USAGE, 0));
    assert_eq!(scheduled(USAGE, HALVING_DAYS), 75_000_000_000_000_000 / 365);
    let whole: u64 = (0..80 * HALVING_DAYS).map(|day| scheduled(USAGE, day)).sum();
    assert!(whole <= USAGE && whole > USAGE - USAGE / 1_000_000, "{whole}");
    assert_eq!(scheduled(u64::MAX, u32::MAX), 0);
}

#[test]
fn a_year_of_vesting_is_a_quarter() {
    let total = 150_000_000_000_000_000;
    assert_eq!(vested(total, CLIFF_S - 1), 0);
    assert_eq!(vested(total, CLIFF_S), total / 4);
    assert_eq!(vested(total, VESTING_S - 1), total - total / VESTING_S - 1);
    assert_eq!(vested(total, VESTING_S), total);
    assert_eq!(vested(total, u64::MAX), total);
}

#[test]
fn s18_the_threshold_is_five_hourly_means_and_decays() {
    let state = Outflow { hour_aic: 0, day_aic: 2_400, at: 1_000 };
    assert_eq!(state.threshold(0), 500);
    for (amount, admitted) in [(499, true), (500, true), (501, false)] {
        assert_eq!(state.admits(amount, 0, 1_000), admitted, "{amount}");
    }
    let full = state.record(500, 1_000).unwrap();
    assert!(!full.admits(300, 0, 1_000));
    // Half an hour later half of it has decayed, and the day's sum by a forty-eighth: (2,900·47/48)·5/24 = 591.
    let half = 1_000 + i64::try_from(HOUR_S / 2).unwrap();
    assert_eq!(full.decayed(half), Outflow { hour_aic: 250, day_aic: 2_839, at: half });
    assert!(full.admits(341, 0, half) && !full.admits(342, 0, half));
    let day = 1_000 + i64::try_from(DAY_S).unwrap();
    assert_eq!(full.decayed(day), Outflow { hour_aic: 0, day_aic: 0, at: day });
    assert!(full.admits(70, 70, day) && !full.admits(71, 70, day), "the floor is left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn a_release_never_reaches_the_washers_bound(schedule: u64, fee: u64) {
        let paid = released(schedule, fee);
        prop_assert!(paid <= schedule);
        prop_assert!(paid == 0 || u128::from(paid) * u128::from(BPS) < u128::from(fee) * u128::from(RHO_BOUND_BPS));
    }

    #[test]
    fn vesting_is_monotone_and_never_exceeds_the_total(total: u64, a: u64, b: u64) {
        let (early, late) = (a.min(b), a.max(b));
        prop_assert!(vested(total, early) <= vested(total, late));
        prop_assert!(vested(total, late) <= total);
    }

    #[test]
    fn nothing_above_the_threshold_is_admitted_and_waiting_never_hurts_the_hour(
        hour: u64, day: u64, at in 0i64..4_000_000_000, amount: u64, floor: u64, wait in 0i64..200_000,
    ) {
        let state = Outflow { hour_aic: hour, day_aic: day, at };
        let later = state.decayed(at + wait);
        prop_assert!(later.hour_aic <= hour && later.day_aic <= day);
        if state.admits(amount, floor, at + wait) {
            let after = later.hour_aic + amount;
            prop_assert!(after <= floor || u128::from(after) * 24 <= u128::from(later.day_aic) * u128::from(FACTOR));
        }
        prop_assert_eq!(state.decayed(at - wait - 1), state, "a clock that went back changes nothing");
    }

    /// Cutting a payment into pieces admits no more than the whole at one moment.
    #[test]
    fn pieces_are_no_way_around(day in 0u64..1 << 50, floor in 0u64..1 << 40, pieces in prop::collection::vec(1u64..1 << 38, 1..9)) {
        let start = Outflow { hour_aic: 0, day_aic: day, at: 5 };
        let (mut state, mut sum) = (start, 0u64);
        for piece in pieces {
            if state.admits(piece, floor, 5) {
                state = state.record(piece, 5).unwrap();
                sum += piece;
            }
        }
        // What was admitted raised the mean, so the bound is that of the state it led to.
        prop_assert!(sum <= state.threshold(floor));
    }
}
