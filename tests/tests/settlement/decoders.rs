//! Bytes that a stranger could send, at every parser and decoder: random ones, and valid ones with damage. The checks
//! are those of the fuzz targets in `fuzz/`, which run for as long as one likes.

#[allow(dead_code)] // seeds are written to files by the fuzz targets only
#[path = "../../../fuzz/src/lib.rs"]
mod checks;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// Inputs per check.
const CASES: u32 = 10_000;

/// Some bytes of a seed are replaced, then its end is cut or grows.
fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(seeds), edits, -4i32..=4, prop::bool::weighted(0.7)).prop_map(
        |(mut bytes, edits, change, whole)| {
            for (at, value) in edits {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
            }
            if !whole {
                let length = bytes.len().saturating_add_signed(change as isize);
                bytes.resize(length, 0xA5);
            }
            bytes
        },
    )
}

#[test]
fn no_bytes_break_a_parser_or_a_decoder() {
    for (name, check) in checks::CHECKS {
        let random = proptest::collection::vec(any::<u8>(), 0..600);
        let inputs = prop_oneof![4 => damaged(checks::seeds(name)), 1 => random];
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let ran = std::cell::Cell::new(0);
        let outcome = TestRunner::new(config).run(&inputs, |bytes| {
            check(&bytes);
            ran.set(ran.get() + 1);
            Ok(())
        });
        assert!(outcome.is_ok(), "{name}: {}", outcome.unwrap_err());
        assert!(ran.get() >= CASES, "{name} ran {} times", ran.get());
    }
}

/// A seed that its own parser refuses would leave the check empty.
#[test]
fn the_messages_to_begin_with_are_valid() {
    use waybill_mechanism::message::{ChargeNote, Line, Order, Receipt, Voucher};
    let seed = |name: &str| checks::seeds(name).remove(0);
    assert!(Voucher::from_bytes(&seed("voucher")).is_ok());
    assert!(ChargeNote::from_bytes(&seed("charge_note")).is_ok());
    assert!(Order::from_bytes(&seed("order")).is_ok());
    assert!(Line::from_bytes(&seed("line")).is_ok());
    let receipts = seed("receipt");
    let (first, second) = receipts.split_at(Receipt::LEN);
    let first = Receipt::from_bytes(first).unwrap();
    assert!(Receipt::from_bytes(second).unwrap().continues(Some(&first)));
}
