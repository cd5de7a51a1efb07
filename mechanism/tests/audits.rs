//! The audit lottery's properties: what draws a batch, whom it spares, who judges, and the verdict's bytes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use waybill_mechanism::audit::{
    SEED_DELAY_SLOTS, SLOT_HASHES, audit_rate_bps, canary_commitment, is_spared, panel_pick, seed_slot,
};
use waybill_mechanism::message::{MessageError, Verdict};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn exactly_one_slot_seeds_a_batch(posted in 0u64..1 << 60, oldest in 0u64..1 << 60) {
        let first = posted + SEED_DELAY_SLOTS;
        let slot = seed_slot(posted, oldest).unwrap();
        // On the grid, remembered, and the earliest such slot: no caller has a second answer.
        prop_assert_eq!((slot - first) % SLOT_HASHES, 0);
        prop_assert!(slot >= oldest && slot >= first);
        prop_assert!(slot == first || slot - SLOT_HASHES < oldest);
        // It stays the answer until it is forgotten.
        prop_assert_eq!(seed_slot(posted, slot), Some(slot));
        prop_assert_eq!(seed_slot(posted, oldest + (slot - oldest) / 2), Some(slot));
    }

    #[test]
    fn a_better_record_is_never_drawn_more(seed in any::<[u8; 32]>(), draw in any::<u32>(), passes in 0u64..2_000, more in 0u64..2_000) {
        prop_assert!(!is_spared(&seed, draw, 0), "a new worker is never spared");
        if is_spared(&seed, draw, passes) {
            prop_assert!(is_spared(&seed, draw, passes + more));
        }
    }

    #[test]
    fn a_pick_is_a_candidate(seed in any::<[u8; 32]>(), draw in any::<u32>(), chair in any::<u8>(), remaining in 0usize..100) {
        match panel_pick(&seed, draw, chair, remaining) {
            None => prop_assert_eq!(remaining, 0),
            Some(pick) => prop_assert!(pick < remaining),
        }
    }

    #[test]
    fn no_slot_panics(posted in any::<u64>(), oldest in any::<u64>()) {
        let _ = seed_slot(posted, oldest);
    }

    #[test]
    fn a_verdict_is_exactly_its_bytes(bytes in prop::array::uniform32(any::<u8>()), pass in any::<bool>(), chair in any::<u8>(), at in 0usize..144, flip in 1u8..) {
        let verdict = Verdict {
            pass,
            chair,
            domain: [bytes[0]; 8],
            audit: bytes,
            receipt_hash: [bytes[1]; 32],
            output_hash: [bytes[2]; 32],
            evidence_hash: [bytes[3]; 32],
        };
        let mut encoded = verdict.to_bytes();
        prop_assert_eq!(Verdict::from_bytes(&encoded), Ok(verdict));
        encoded[at] ^= flip;
        prop_assert!(Verdict::from_bytes(&encoded) != Ok(verdict));
        prop_assert!(Verdict::from_bytes(&encoded[..at]).is_err());
    }
}

#[test]
fn a_worker_is_spared_at_the_designs_rates() {
    let seed = [5; 32];
    for passes in [50, 200, 450, 950] {
        let counted = (0..20_000).filter(|draw| !is_spared(&seed, *draw, passes)).count();
        // Of the draws at 20 %, the share that the rate leaves; a tenth more or less is noise at this number.
        let expected = 20_000 * usize::from(audit_rate_bps(passes)) / 2_000;
        assert!(counted.abs_diff(expected) * 10 < expected, "{counted} of 20000, expected {expected}");
    }
}

#[test]
fn reserved_bytes_of_a_verdict_are_refused() {
    let verdict = Verdict {
        pass: true,
        chair: 3,
        domain: [1; 8],
        audit: [2; 32],
        receipt_hash: [3; 32],
        output_hash: [4; 32],
        evidence_hash: [5; 32],
    };
    let with = |at: usize, byte| {
        let mut bytes = verdict.to_bytes();
        bytes[at] = byte;
        Verdict::from_bytes(&bytes)
    };
    assert_eq!(with(0, b'B'), Err(MessageError::Magic));
    assert_eq!(with(4, 2), Err(MessageError::Version));
    assert_eq!(with(5, 2), Err(MessageError::Reserved));
    assert_eq!(with(7, 1), Err(MessageError::Reserved));
    assert_eq!(Verdict::from_bytes(&[0; 143]), Err(MessageError::Length));
    assert_ne!(canary_commitment(&[1; 32], &[2; 32]), canary_commitment(&[2; 32], &[1; 32]));
}
