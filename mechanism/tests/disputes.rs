//! What decides disputes: no honest gateway is ever at fault, and no cooked book can be answered or defended.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use waybill_mechanism::amount::price_nc;
use waybill_mechanism::dispute::{
    LineEnd, Place, line_owner, line_subject, message_hash, message_key, order_fault, overcharge_nc, shown_leaf,
    shown_pair, staged,
};
use waybill_mechanism::message::{ChargeNote, Receipt};

const CASES: u32 = 10_000;
const GATEWAY: [u8; 32] = [1; 32];

fn receipt(worker: u8, key: u8, seq: u32, price_nc: u64, cum_nc: u64) -> Receipt {
    Receipt {
        flags: 0,
        det_class: 1,
        domain: [9; 8],
        epoch: 7,
        seq,
        gateway: GATEWAY,
        worker: [worker; 32],
        line_key: [key; 32],
        artifact: [3; 32],
        request_hash: [4; 32],
        input_hash: [5; 32],
        output_hash: [6; 32],
        evidence_hash: [7; 32],
        units_in: 10,
        units_out: 20,
        price_nc,
        cum_nc,
        t_start_ms: 1,
        t_end_ms: 2,
    }
}

/// An honest line that begins at `seq` with `before` charged already.
fn line(worker: u8, key: u8, seq: u32, before: u64, prices: &[u64]) -> Vec<Receipt> {
    let mut cum_nc = before;
    prices
        .iter()
        .zip(seq..)
        .map(|(price_nc, seq)| {
            cum_nc += price_nc;
            receipt(worker, key, seq, *price_nc, cum_nc)
        })
        .collect()
}

fn prices() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0u64..1 << 40, 1..12)
}

/// An honest book in settlement order: lines of ascending (worker, key).
fn book() -> impl Strategy<Value = Vec<Receipt>> {
    let keys = prop::collection::btree_set((0u8..4, 0u8..4), 1..6);
    (keys, prop::collection::vec(prices(), 6)).prop_map(|(keys, prices)| {
        // A line key names its worker.
        keys.into_iter()
            .zip(prices)
            .flat_map(|((worker, key), prices)| line(worker, worker * 16 + key, 0, 0, &prices))
            .collect()
    })
}

fn place(index: usize) -> Place {
    Place { batch: [8; 32], index: u32::try_from(index).unwrap() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_end_of_an_honest_line_follows_from_its_beginning(
        prices in prices(),
        seq in 0u32..1 << 20,
        before in 0u64..1 << 40,
        prefix in 0u64..1 << 40,
    ) {
        let receipts = line(2, 3, seq, before, &prices);
        let (first, last) = (receipts.first().unwrap(), receipts.last().unwrap());
        let credits: u64 = prices.iter().sum();
        let n = u32::try_from(prices.len()).unwrap();
        let owner = line_owner(&first.line_key, &first.worker);
        let expected = LineEnd::after(&owner, n, credits, first, prefix).unwrap();
        let end = LineEnd::of(last, prefix + credits - last.price_nc).unwrap();
        prop_assert_eq!(expected, end);
        prop_assert_eq!(expected.hash(), end.hash());
    }

    #[test]
    fn a_line_that_claims_anything_else_cannot_be_answered(
        prices in prices(),
        prefix in 0u64..1 << 40,
        more in 1u64..1 << 30,
        which in 0usize..6,
    ) {
        let receipts = line(2, 3, 5, 100, &prices);
        let (first, mut last) = (receipts[0], *receipts.last().unwrap());
        let mut credits: u64 = prices.iter().sum();
        let mut n = u32::try_from(prices.len()).unwrap();
        let mut before_last = prefix + credits - last.price_nc;
        match which {
            0 => credits += more,
            1 => n += 1,
            2 => last.cum_nc += more,
            3 => before_last += more,
            4 => last.worker = [77; 32],
            _ => last.line_key = [77; 32],
        }
        let owner = line_owner(&first.line_key, &first.worker);
        let expected = LineEnd::after(&owner, n, credits, &first, prefix);
        let end = LineEnd::of(&last, before_last);
        prop_assert!(expected.is_none() || expected != end);
        prop_assert!(expected.map(|e| e.hash()) != end.map(|e| e.hash()));
    }

    #[test]
    fn an_honest_book_has_no_fault_between_any_two_leaves(book in book(), a in 0usize..72, b in 0usize..72) {
        let (a, b) = (a % book.len(), b % book.len());
        prop_assert!(!order_fault(&book[a], &place(a), &book[b], &place(b)));
        prop_assert!(!order_fault(&book[b], &place(b), &book[a], &place(a)));
    }

    #[test]
    fn a_receipt_in_two_places_is_a_fault_wherever_it_is(book in book(), a in 0usize..72, far in 0u32..u32::MAX) {
        let a = a % book.len();
        let elsewhere = Place { batch: [9; 32], index: far };
        prop_assert!(order_fault(&book[a], &place(a), &book[a], &elsewhere));
        let mut changed = book[a];
        changed.output_hash = [99; 32];
        prop_assert!(order_fault(&book[a], &place(a), &changed, &elsewhere));
        // The same leaf is one leaf.
        prop_assert!(!order_fault(&book[a], &place(a), &book[a], &place(a)));
    }

    #[test]
    fn neighbours_in_the_wrong_order_or_off_their_line_are_a_fault(
        book in book(),
        a in 0usize..72,
        more in 1u64..1 << 30,
    ) {
        prop_assume!(book.len() > 1);
        let a = a % (book.len() - 1);
        let (before, after) = (book[a], book[a + 1]);
        prop_assert!(order_fault(&after, &place(a), &before, &place(a + 1)), "swapped");
        if before.line_key == after.line_key && before.worker == after.worker {
            let skips = Receipt { cum_nc: after.cum_nc + more, ..after };
            prop_assert!(order_fault(&before, &place(a), &skips, &place(a + 1)), "total");
            let gap = Receipt { seq: after.seq + 1, ..after };
            prop_assert!(order_fault(&before, &place(a), &gap, &place(a + 1)), "sequence");
        }
    }

    #[test]
    fn an_overcharge_is_what_exceeds_the_ceiled_price(
        units in any::<(u32, u32)>(),
        per_1k in 0u64..1 << 40,
        price in any::<u64>(),
    ) {
        let mut shown = receipt(1, 1, 0, price, price);
        (shown.units_in, shown.units_out) = units;
        let sum = u64::from(units.0) + u64::from(units.1);
        let most = price_nc(sum, per_1k);
        let excess = overcharge_nc(&shown, per_1k);
        match most {
            Some(most) => prop_assert_eq!(excess, price.saturating_sub(most)),
            None => prop_assert_eq!(excess, 0),
        }
    }

    #[test]
    fn only_messages_with_equal_key_fields_share_a_key(
        (seq, other_seq) in any::<(u32, u32)>(),
        (nonce, other_nonce) in any::<(u64, u64)>(),
        output in any::<[u8; 32]>(),
    ) {
        let key = |bytes: &[u8]| message_key(&GATEWAY, &[9; 8], bytes);
        let a = receipt(1, 1, seq, 5, 5);
        let b = Receipt { output_hash: output, ..a };
        let c = Receipt { seq: other_seq, ..a };
        prop_assert_eq!(key(&a.to_bytes()), key(&b.to_bytes()));
        prop_assert_eq!(key(&a.to_bytes()) == key(&c.to_bytes()), seq == other_seq);
        prop_assert_eq!(message_hash(&a.to_bytes()) == message_hash(&b.to_bytes()), a == b);
        let note = ChargeNote { domain: [9; 8], channel: [2; 32], nonce, charge_nc: 1, cum_charged_nc: 1 };
        let more = ChargeNote { charge_nc: 2, cum_charged_nc: 2, ..note };
        let next = ChargeNote { nonce: other_nonce, ..note };
        prop_assert_eq!(key(&note.to_bytes()), key(&more.to_bytes()));
        prop_assert_eq!(key(&note.to_bytes()) == key(&next.to_bytes()), nonce == other_nonce);
        prop_assert_ne!(key(&note.to_bytes()), key(&a.to_bytes()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), receipts in any::<[u64; 4]>()) {
        let _ = message_key(&GATEWAY, &[9; 8], &bytes);
        let [a, b, c, d] = receipts;
        let first = Receipt { price_nc: a, cum_nc: b, ..receipt(1, 1, u32::MAX, 0, 0) };
        let _ = LineEnd::after(&line_owner(&[1; 32], &[1; 32]), u32::MAX, c, &first, d);
        let _ = LineEnd::of(&first, d);
        let _ = overcharge_nc(&first, c);
    }
}

#[test]
fn messages_of_others_have_no_key() {
    let note = ChargeNote { domain: [9; 8], channel: [2; 32], nonce: 1, charge_nc: 1, cum_charged_nc: 1 };
    let shown = receipt(1, 1, 0, 5, 5);
    assert!(message_key(&GATEWAY, &[9; 8], &shown.to_bytes()).is_some());
    assert_eq!(message_key(&[2; 32], &[9; 8], &shown.to_bytes()), None, "another gateway's receipt");
    assert_eq!(message_key(&GATEWAY, &[8; 8], &shown.to_bytes()), None, "another deployment");
    assert_eq!(message_key(&GATEWAY, &[8; 8], &note.to_bytes()), None, "another deployment's note");
}

#[test]
fn commitments_differ_by_every_part() {
    let (a, b) = ([1; 32], [2; 32]);
    let at = |batch, index| Place { batch, index };
    let all = [
        line_owner(&a, &a),
        line_owner(&a, &b),
        line_owner(&b, &a),
        staged(&a, &a),
        staged(&a, &b),
        staged(&b, &a),
        shown_leaf(&a, &at(a, 0)),
        shown_leaf(&b, &at(a, 0)),
        shown_leaf(&a, &at(b, 0)),
        shown_leaf(&a, &at(a, 1)),
        shown_pair(&a, &b),
        shown_pair(&b, &a),
        line_subject(&a, &b),
        line_subject(&b, &a),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}
