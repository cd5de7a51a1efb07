//! The released layouts, pinned: a field that moves, grows or changes its type fails here before it fails on chain.
#![allow(clippy::unwrap_used)]

use anchor_lang::{Discriminator, Space, prelude::*};
use coin::authority::{Authorities, AuthorityRole, PendingAuthority};

use crate::{events::*, state::*};

fn key(byte: u8) -> Pubkey {
    Pubkey::new_from_array([byte; 32])
}

/// The account's bytes, after checking discriminator, size and that reading gives back what was written.
fn bytes<T>(value: &T, discriminator: [u8; 8], size: usize) -> Vec<u8>
where
    T: AccountSerialize + AccountDeserialize + Discriminator + Space,
{
    let mut bytes = Vec::new();
    value.try_serialize(&mut bytes).unwrap();
    assert_eq!(bytes[..8], discriminator);
    assert_eq!((bytes.len(), 8 + T::INIT_SPACE), (size, size));
    let mut again = Vec::new();
    T::try_deserialize(&mut bytes.as_slice()).unwrap().try_serialize(&mut again).unwrap();
    assert_eq!(bytes, again);
    bytes
}

#[track_caller]
fn at(bytes: &[u8], offset: usize, expected: &[u8]) {
    assert_eq!(&bytes[offset..offset + expected.len()], expected, "at {offset}");
}

#[test]
fn settle_config() {
    let authorities = Authorities { admin: key(1), params: key(2), pause: key(3), resume: key(4) };
    let config = SettleConfig {
        version: 1,
        bump: 250,
        pool_bump: 251,
        pause_flags: 0x0203,
        authorities,
        pending: PendingAuthority { role: AuthorityRole::Pause, key: key(5) },
        mint: key(6),
        pool: key(7),
        audits: key(8),
        treasury_vault: key(9),
        insurance_vault: key(10),
        domain: [11; 8],
        epoch_s: 12,
        challenge_s: 13,
        post_window_s: 14,
        grace_s: 15,
        claim_window_s: 16,
        fee: FeeSplit { audit_bps: 120, gateway_bps: 60, burn_bps: 61, treasury_bps: 62 },
        seq: 17,
        rent_payer: key(18),
        dispute: DisputeParams { bond_nc: 19, response_s: 20 },
        audit: AuditParams { enforce: true, draws: 21, verdict_s: 22, retention_s: 23 },
        withdraw_pause_until: 24,
        withdraw_pause_used_s: 25,
        _reserved: [0; 93],
    };
    let bytes = bytes(&config, [105, 211, 143, 159, 254, 70, 10, 201], 538);
    at(&bytes, 8, &[1, 250, 251, 3, 2]);
    at(&bytes, 13, &[1; 32]);
    at(&bytes, 141, &[2]);
    for (offset, byte) in [(142, 5), (174, 6), (206, 7), (238, 8), (270, 9), (302, 10), (378, 18)] {
        at(&bytes, offset, &[byte; 32]);
    }
    at(&bytes, 334, &[11; 8]);
    at(&bytes, 342, &[12, 0, 0, 0, 13, 0, 0, 0, 14, 0, 0, 0, 15, 0, 0, 0, 16, 0, 0, 0]);
    at(&bytes, 362, &[120, 0, 60, 0, 61, 0, 62, 0, 17]);
    at(&bytes, 410, &[19, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 21, 0, 22, 0, 0, 0, 23, 0, 0, 0]);
    at(&bytes, 433, &[24, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0]);
    assert_eq!(SettleTerms::try_deserialize(&mut bytes.as_slice()).unwrap(), config.terms());
}

#[test]
fn channel() {
    let grant = Grant { limit_nc: 13, period_s: 14, expires: 15, referrer: key(16), period_start: 17, used_nc: 18 };
    let channel = Channel {
        version: 1,
        bump: 250,
        state: ChannelState::Closing,
        consumer: key(1),
        gateway: key(2),
        mint: key(3),
        vault: key(4),
        session: key(5),
        open_slot: 6,
        balance_aic: 7,
        deposited_aic: 8,
        settled_nc: 9,
        settled_aic: 10,
        last_settled_nonce: 11,
        close_at: 12,
        grant,
        seq: 19,
        rent_payer: key(20),
        opened_at: 21,
        granted_at: 22,
        settled_by: SettledBy::Grant,
        refunded_nc: 23,
        open_disputes: 24,
        _reserved: [0; 37],
    };
    let bytes = bytes(&channel, [49, 159, 99, 106, 220, 87, 219, 88], 399);
    at(&bytes, 8, &[1, 250, 1]);
    for (offset, byte) in [(11, 1), (43, 2), (75, 3), (107, 4), (139, 5), (247, 16), (303, 20)] {
        at(&bytes, offset, &[byte; 32]);
    }
    for (offset, value) in [(171, 6u64), (179, 7), (187, 8), (195, 9), (203, 10), (211, 11), (219, 12), (227, 13)] {
        at(&bytes, offset, &value.to_le_bytes());
    }
    at(&bytes, 235, &[14, 0, 0, 0, 15]);
    at(&bytes, 279, &[17, 0, 0, 0, 0, 0, 0, 0, 18, 0, 0, 0, 0, 0, 0, 0, 19]);
    at(&bytes, 335, &[21, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0, 0, 0, 0, 3, 23, 0, 0, 0, 0, 0, 0, 0, 24, 0]);
}

#[test]
fn gateway_vault() {
    let vault = GatewayVault {
        version: 1,
        bump: 250,
        gateway: key(1),
        mint: key(2),
        vault: key(3),
        nc: 4,
        aic: 5,
        first_open_epoch: 6,
        seq: 7,
        rent_payer: key(8),
        first_unpaid_epoch: 9,
        _reserved: [0; 60],
    };
    let bytes = bytes(&vault, [71, 217, 92, 35, 192, 164, 24, 103], 230);
    at(&bytes, 8, &[1, 250]);
    for (offset, byte) in [(10, 1), (42, 2), (74, 3), (134, 8)] {
        at(&bytes, offset, &[byte; 32]);
    }
    at(&bytes, 106, &[4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 7]);
    at(&bytes, 166, &[9, 0, 0, 0]);
}

#[test]
fn batch() {
    let batch = Batch {
        version: 1,
        bump: 250,
        state: BatchState::Swept,
        vault_bump: 251,
        gateway: key(1),
        mint: key(2),
        epoch: 3,
        shard: 4,
        late: true,
        receipts_root: [5; 32],
        lines_root: [6; 32],
        n_receipts: 7,
        n_lines: 8,
        sum_nc: 9,
        aic: 10,
        data_hash: [11; 32],
        posted_slot: 12,
        posted_at: 13,
        final_at: 14,
        claimed_lines: 15,
        claimed_nc: 16,
        claimed_aic: 17,
        fee_aic: 18,
        burn_aic: 19,
        seq: 20,
        rent_payer: key(21),
        seed: [22; 32],
        seed_slot: 23,
        draws: 24,
        open_audits: 25,
        open_disputes: 26,
        forfeited_nc: 27,
        _reserved: [0; 10],
    };
    let bytes = bytes(&batch, [156, 194, 70, 44, 22, 88, 137, 44], 367);
    at(&bytes, 8, &[1, 250, 2, 251]);
    for (offset, byte) in [(12, 1), (44, 2), (83, 5), (115, 6), (171, 11), (271, 21)] {
        at(&bytes, offset, &[byte; 32]);
    }
    at(&bytes, 76, &[3, 0, 0, 0, 4, 0, 1]);
    at(&bytes, 147, &[7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10]);
    at(&bytes, 227, &[15, 0, 0, 0]);
    for (offset, value) in [(203, 12u64), (211, 13), (219, 14), (231, 16), (239, 17), (247, 18), (255, 19), (263, 20)] {
        at(&bytes, offset, &value.to_le_bytes());
    }
    at(&bytes, 303, &[22; 32]);
    at(&bytes, 335, &[23, 0, 0, 0, 0, 0, 0, 0, 24, 0, 25, 0, 26, 0, 27]);
    assert_eq!((Batch::HEADER, Batch::space(1), Batch::space(8), Batch::space(9)), (367, 368, 368, 369));
    assert_eq!((Batch::space(8_192), Batch::space(u32::MAX)), (1_391, 1_391));
}

fn earnings_value() -> Earnings {
    Earnings {
        version: 1,
        bump: 250,
        owner: key(1),
        mint: key(2),
        amount_aic: 3,
        total_in_aic: 7,
        withdrawn_aic: 4,
        sweep: key(5),
        pending_sweep: key(6),
        pending_from: 8,
        seq: 9,
        rent_payer: key(10),
        due_at: 11,
        due_aic: 12,
        _reserved: [0; 48],
    }
}

#[test]
fn earnings() {
    let bytes = bytes(&earnings_value(), [91, 138, 17, 199, 164, 111, 222, 232], 274);
    at(&bytes, 8, &[1, 250]);
    for (offset, byte) in [(10, 1), (42, 2), (98, 5), (130, 6), (178, 10)] {
        at(&bytes, offset, &[byte; 32]);
    }
    for (offset, value) in [(74, 3u64), (82, 7), (90, 4), (162, 8), (170, 9), (210, 11), (218, 12)] {
        at(&bytes, offset, &value.to_le_bytes());
    }
}

#[test]
fn a_credit_in_place_is_a_credit() {
    let mut earnings = earnings_value();
    let mut raw = Vec::new();
    earnings.try_serialize(&mut raw).unwrap();
    Earnings::credit_in_place(&mut raw, &key(1), &key(2), 1_000).unwrap();
    earnings.credit(1_000).unwrap();
    earnings.invariant().unwrap();
    let mut expected = Vec::new();
    earnings.try_serialize(&mut expected).unwrap();
    assert_eq!(raw, expected);
}

#[test]
fn a_credit_in_place_refuses_other_owners_mints_and_accounts() {
    let mut raw = Vec::new();
    earnings_value().try_serialize(&mut raw).unwrap();
    let before = raw.clone();
    assert!(Earnings::credit_in_place(&mut raw, &key(3), &key(2), 1).is_err());
    assert!(Earnings::credit_in_place(&mut raw, &key(1), &key(3), 1).is_err());
    assert!(Earnings::credit_in_place(&mut raw, &key(1), &key(2), u64::MAX).is_err());
    let end = raw.len() - 1;
    assert!(Earnings::credit_in_place(&mut raw[..end], &key(1), &key(2), 1).is_err());
    assert_eq!(raw, before);
    raw[0] ^= 1;
    assert!(Earnings::credit_in_place(&mut raw, &key(1), &key(2), 1).is_err());
}

#[test]
fn fee_day() {
    let day = FeeDay {
        version: 1,
        bump: 250,
        day: 2,
        batches: 3,
        fee_aic: 4,
        burned_aic: 5,
        rent_payer: key(6),
        _reserved: [0; 32],
    };
    let bytes = bytes(&day, [163, 147, 143, 99, 21, 178, 224, 227], 98);
    at(&bytes, 8, &[1, 250, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5]);
    at(&bytes, 34, &[6; 32]);
}

#[test]
fn dispute() {
    let dispute = Dispute {
        version: 1,
        bump: 250,
        kind: DisputeKind::PriceFault,
        state: DisputeState::Dismissed,
        step: 2,
        index: 3,
        line: 4,
        first: 5,
        last: 6,
        target: key(7),
        challenger: key(8),
        bond_aic: 9,
        deadline: 10,
        digest: [11; 32],
        amount_nc: 12,
        mark: 13,
        seq: 14,
        rent_payer: key(15),
        _reserved: [0; 3],
    };
    let bytes = bytes(&dispute, [36, 49, 241, 67, 40, 36, 241, 74], 200);
    at(&bytes, 8, &[1, 250, 7, 4, 2, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0]);
    for (offset, byte) in [(29, 7), (61, 8), (109, 11), (165, 15)] {
        at(&bytes, offset, &[byte; 32]);
    }
    for (offset, value) in [(93, 9u64), (101, 10), (141, 12), (149, 13), (157, 14)] {
        at(&bytes, offset, &value.to_le_bytes());
    }
}

#[test]
fn audit() {
    let bond = |n: u8| Bond { by: key(n), aic: n.into(), against: Outcome::Failed, settled: true };
    let audit = Audit {
        version: 1,
        bump: 250,
        enforce: true,
        round: 2,
        judged: Outcome::Undecided,
        settled: true,
        canary: true,
        worker_punished: true,
        line_done: true,
        paid: 3,
        punished: 4,
        n_chairs: 5,
        seats: [6; 8],
        votes: [Vote::Absent; 8],
        det_class: 7,
        batch: key(8),
        epoch: 26,
        draw: 9,
        receipt: 10,
        receipt_hash: [11; 32],
        worker: key(12),
        operator: key(13),
        output_hash: [14; 32],
        evidence_hash: [15; 32],
        price_nc: 16,
        fee_aic: 17,
        seed_slot: 18,
        seats_until: 19,
        opened_at: 20,
        deadline: 21,
        bonds: [bond(22), bond(23)],
        seq: 24,
        rent_payer: key(25),
        _reserved: [0; 32],
    };
    let bytes = bytes(&audit, [242, 65, 202, 147, 141, 103, 253, 134], 446);
    at(&bytes, 8, &[1, 250, 1, 2, 3, 1, 1, 1, 1, 3, 4, 5, 6]);
    at(&bytes, 28, &[3; 8]);
    at(&bytes, Audit::BATCH_OFFSET, &[8; 32]);
    for (offset, byte) in [(82, 11), (114, 12), (146, 13), (178, 14), (210, 15), (290, 22), (332, 23), (382, 25)] {
        at(&bytes, offset, &[byte; 32]);
    }
    at(&bytes, 70, &[26, 0, 0, 0, 9, 0, 0, 0, 10]);
    for (offset, value) in [(242, 16u64), (250, 17), (258, 18), (266, 19), (274, 20), (282, 21), (322, 22), (374, 24)] {
        at(&bytes, offset, &value.to_le_bytes());
    }
}

#[test]
fn verifier_set() {
    let set =
        VerifierSet { version: 1, bump: 250, det_class: 2, seated: 3, seq: 4, rent_payer: key(5), _reserved: [0; 64] };
    let bytes = bytes(&set, [227, 16, 215, 74, 157, 114, 239, 185], 118);
    at(&bytes, 8, &[1, 250, 2, 0, 3, 0, 4]);
    at(&bytes, 22, &[5; 32]);
    assert_eq!((VerifierSet::HEADER, VerifierSet::SPACE), (118, 118 + 64 * 80));
}

#[test]
fn staged_receipt() {
    let staged = StagedReceipt {
        version: 1,
        bump: 250,
        hash: [2; 32],
        leaf: [3; 32],
        gateway: key(4),
        worker: key(5),
        epoch: 6,
        det_class: 7,
        output_hash: [8; 32],
        evidence_hash: [9; 32],
        price_nc: 10,
        staged_at: 11,
        rent_payer: key(12),
        _reserved: [0; 32],
    };
    let bytes = bytes(&staged, [17, 202, 187, 217, 208, 110, 24, 152], 288);
    for (offset, byte) in [(10, 2), (42, 3), (74, 4), (106, 5), (144, 8), (176, 9), (224, 12)] {
        at(&bytes, offset, &[byte; 32]);
    }
    at(&bytes, 138, &[6, 0, 0, 0, 7, 0]);
    at(&bytes, 208, &[10, 0, 0, 0, 0, 0, 0, 0, 11]);
}

#[test]
fn worker_record() {
    let mut record = WorkerRecord::new(key(2), 1, 250, key(7));
    (record.passes, record.passed, record.failed, record.last_at, record.seq) = (3, 4, 5, 6, 8);
    let bytes = bytes(&record, [180, 23, 137, 154, 24, 122, 156, 116], 146);
    at(&bytes, 8, &[1, 250]);
    at(&bytes, 10, &[2; 32]);
    for (offset, value) in [(42, 3u64), (50, 4), (58, 5), (66, 6), (74, 8)] {
        at(&bytes, offset, &value.to_le_bytes());
    }
    at(&bytes, 82, &[7; 32]);
}

#[test]
fn canary() {
    let canary = Canary { version: 1, bump: 250, commitment: [2; 32], slot: 3, rent_payer: key(4), _reserved: [0; 32] };
    let bytes = bytes(&canary, [192, 209, 214, 197, 87, 28, 82, 115], 114);
    at(&bytes, 10, &[2; 32]);
    at(&bytes, 42, &[3, 0, 0, 0, 0, 0, 0, 0]);
    at(&bytes, 50, &[4; 32]);
}

#[test]
fn events_keep_their_discriminators() {
    for (actual, expected) in [
        (DepositSynced::DISCRIMINATOR, [12, 227, 145, 222, 87, 56, 160, 44]),
        (ChannelSettled::DISCRIMINATOR, [111, 173, 122, 136, 157, 140, 206, 6]),
        (ChannelClosed::DISCRIMINATOR, [119, 198, 23, 254, 216, 124, 84, 16]),
        (GatewayToppedUp::DISCRIMINATOR, [91, 4, 69, 50, 170, 98, 40, 99]),
        (BatchPosted::DISCRIMINATOR, [154, 80, 3, 154, 143, 131, 227, 239]),
        (BatchFinalized::DISCRIMINATOR, [27, 17, 160, 189, 95, 165, 89, 191]),
        (LineClaimed::DISCRIMINATOR, [94, 110, 99, 62, 10, 126, 98, 226]),
        (BatchSwept::DISCRIMINATOR, [139, 6, 118, 36, 107, 150, 193, 204]),
        (DisputeOpened::DISCRIMINATOR, [239, 222, 102, 235, 193, 85, 1, 214]),
        (EvidenceShown::DISCRIMINATOR, [194, 175, 204, 16, 178, 196, 17, 210]),
        (DisputeResolved::DISCRIMINATOR, [121, 64, 249, 153, 139, 128, 236, 187]),
        (DisputeClosed::DISCRIMINATOR, [171, 46, 157, 35, 78, 224, 13, 173]),
        (AuditAppealed::DISCRIMINATOR, [197, 199, 15, 212, 111, 236, 74, 212]),
        (LineForfeited::DISCRIMINATOR, [175, 104, 105, 50, 150, 119, 244, 95]),
        (VerifierPaid::DISCRIMINATOR, [2, 148, 150, 221, 40, 202, 191, 1]),
        (BondSettled::DISCRIMINATOR, [187, 150, 172, 212, 229, 119, 165, 123]),
        (EarningsWithdrawn::DISCRIMINATOR, [2, 155, 160, 28, 85, 112, 127, 79]),
    ] {
        assert_eq!(actual, expected);
    }
}

#[test]
fn each_line_has_its_own_bit() {
    let mut data = vec![0; Batch::space(17)];
    for index in [0, 7, 8, 16] {
        assert!(!Batch::is_claimed(&data, index).unwrap());
        Batch::mark_claimed(&mut data, index).unwrap();
        assert!(Batch::is_claimed(&data, index).unwrap());
        assert!(Batch::mark_claimed(&mut data, index).is_err());
    }
    assert_eq!(data[Batch::HEADER..], [0b1000_0001, 1, 1]);
    assert!(Batch::mark_claimed(&mut data, 24).is_err());
}

#[test]
fn the_parts_of_a_fee_sum_to_it() {
    let split = FeeSplit { audit_bps: 120, gateway_bps: 60, burn_bps: 60, treasury_bps: 60 };
    for fee in [0, 1, 4, 5, 299, 1_186_020, u64::MAX] {
        let FeeParts { audits_aic, gateway_aic, burn_aic, treasury_aic } = split.divide(fee).unwrap();
        let sum = u128::from(audits_aic) + u128::from(gateway_aic) + u128::from(burn_aic) + u128::from(treasury_aic);
        assert_eq!(sum, u128::from(fee));
    }
    assert_eq!(split.divide(4).unwrap(), FeeParts { audits_aic: 1, gateway_aic: 0, burn_aic: 0, treasury_aic: 3 });
}
