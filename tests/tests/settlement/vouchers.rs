//! Voucher mode and its signature check.

use anchor_lang::prelude::Pubkey;
use settlement::{error::SettleError, events::ChannelSettled, instructions::OpenChannelArgs};
use solana_signer::Signer;
use waybill_mechanism::message::Voucher;
use waybill_tests::{
    assert_refused,
    ix::{swap, unsigned},
    key,
};

use crate::desk::*;

fn desk() -> Desk {
    Desk::with_channel(1_000_000, 0)
}

#[test]
fn anyone_collects_what_is_acknowledged_and_the_gateway_more() {
    let mut desk = desk();
    let voucher = desk.voucher(7, 1_000, 3_000);
    let check = signature_check(&desk.consumer, &voucher.to_bytes());
    let built = [check, desk.settle_voucher_ix(600, false)];
    let sent = desk.measure_all("settle_voucher", "acknowledged", &built, &[]);
    let [event] = sent.cpi_events::<ChannelSettled>().try_into().ok().unwrap();
    assert_eq!((event.delta_nc, event.delta_aic, event.delegated, event.nonce), (600, 12_000, false, 7));
    desk.settle_voucher(&voucher, 1_000, false).unwrap();
    assert_refused(desk.settle_voucher(&voucher, 1_001, false), SettleError::AboveCeiling);
    let built = [signature_check(&desk.consumer, &voucher.to_bytes()), desk.settle_voucher_ix(3_000, true)];
    desk.measure_all("settle_voucher", "up to the ceiling", &built, &[&desk.gateway()]);
    assert_refused(desk.settle_voucher(&desk.voucher(7, 1_000, 3_000), 3_001, true), SettleError::AboveCeiling);
    assert_eq!(desk.state().settled_nc, 3_000);
}

#[test]
fn another_gateways_signature_raises_no_ceiling() {
    let mut desk = desk();
    let voucher = desk.voucher(1, 0, 3_000);
    let other = key("other gateway");
    let claim = swap(desk.settle_voucher_ix(3_000, true), desk.net.gateway.pubkey(), other.pubkey());
    let check = signature_check(&desk.consumer, &voucher.to_bytes());
    assert_refused(desk.send(&[check.clone(), claim], &[&other]), SettleError::Unauthorized);
    // Named, but without a signature.
    let claim = unsigned(desk.settle_voucher_ix(3_000, true), desk.net.gateway.pubkey());
    assert!(desk.send(&[check, claim], &[]).is_err());
}

#[test]
fn s20_a_replayed_or_stale_voucher_moves_nothing() {
    let mut desk = desk();
    let voucher = desk.voucher(7, 1_000, 1_000);
    desk.settle_voucher(&voucher, 1_000, false).unwrap();
    assert_refused(desk.settle_voucher(&voucher, 1_000, false), SettleError::StaleClaim);
    let older = desk.voucher(6, 2_000, 2_000);
    assert_refused(desk.settle_voucher(&older, 2_000, false), SettleError::StaleNonce);
}

#[test]
fn s20_a_voucher_expires_in_its_second() {
    let mut desk = desk();
    let voucher = Voucher { expires: desk.now() + 10, ..desk.voucher(1, 1_000, 1_000) };
    desk.advance(9);
    desk.settle_voucher(&voucher, 500, false).unwrap();
    desk.advance(1);
    assert_refused(desk.settle_voucher(&voucher, 1_000, false), SettleError::VoucherExpired);
}

#[test]
fn s20_a_voucher_of_another_domain_or_incarnation_is_refused() {
    let mut desk = desk();
    let good = desk.voucher(1, 1_000, 1_000);
    let other_domain = Voucher { domain: [1; 8], ..good };
    assert_refused(desk.settle_voucher(&other_domain, 1_000, false), SettleError::VoucherMismatch);
    let other_channel = Voucher { channel: [1; 32], ..good };
    assert_refused(desk.settle_voucher(&other_channel, 1_000, false), SettleError::VoucherMismatch);
}

#[test]
fn s20_an_underfunded_voucher_settles_what_exists() {
    let mut desk = Desk::with_channel(19_999, 0);
    let voucher = desk.voucher(1, 5_000, 5_000);
    desk.settle_voucher(&voucher, 5_000, false).unwrap();
    assert_eq!((desk.state().settled_nc, desk.state().balance_aic), (999, 19));
    desk.deposit(100_000);
    desk.settle_voucher(&voucher, 5_000, false).unwrap();
    assert_eq!(desk.state().settled_nc, 5_000);
}

#[test]
fn s19_the_check_must_be_the_instruction_directly_before() {
    let mut desk = desk();
    let voucher = desk.voucher(1, 1_000, 1_000);
    let (check, claim) = (signature_check(&desk.consumer, &voucher.to_bytes()), desk.settle_voucher_ix(1_000, false));
    let between = desk.open_earnings_ix(&Pubkey::new_unique());
    assert_refused(desk.send(std::slice::from_ref(&claim), &[]), SettleError::SignatureCheck);
    assert_refused(desk.send(&[claim.clone(), check.clone()], &[]), SettleError::SignatureCheck);
    assert_refused(desk.send(&[check.clone(), between, claim.clone()], &[]), SettleError::SignatureCheck);
    // One check serves one claim.
    assert_refused(desk.send(&[check, desk.settle_voucher_ix(500, false), claim], &[]), SettleError::SignatureCheck);
}

#[test]
fn s19_another_account_is_not_the_instructions_sysvar() {
    let mut desk = desk();
    let voucher = desk.voucher(1, 1_000, 1_000);
    let forged = desk.net.world.forge(&desk.config(), None);
    let claim = swap(desk.settle_voucher_ix(1_000, false), INSTRUCTIONS, forged);
    let check = signature_check(&desk.consumer, &voucher.to_bytes());
    assert_refused(desk.send(&[check, claim], &[]), SettleError::SignatureCheck);
}

#[test]
fn s19_another_key_or_message_is_refused() {
    let mut desk = desk();
    let bytes = desk.voucher(1, 1_000, 1_000).to_bytes();
    let claim = desk.settle_voucher_ix(1_000, false);
    let by_other = signature_check(&key("mallory"), &bytes);
    assert_refused(desk.send(&[by_other, claim.clone()], &[]), SettleError::SignatureCheck);
    for message in [&bytes[..105], &[bytes.as_slice(), &[0]].concat()] {
        let check = signature_check(&desk.consumer, message);
        assert_refused(desk.send(&[check, claim.clone()], &[]), SettleError::SignatureCheck);
    }
    let mut magic = bytes;
    magic[0] ^= 1;
    let check = signature_check(&desk.consumer, &magic);
    assert_refused(desk.send(&[check, claim], &[]), SettleError::MalformedMessage);
}

#[test]
fn s19_other_layouts_that_the_runtime_accepts_are_refused() {
    let mut desk = desk();
    let bytes = desk.voucher(1, 1_000, 1_000).to_bytes();
    let claim = desk.settle_voucher_ix(1_000, false);
    let good = signature_check(&desk.consumer, &bytes);

    // Each index names the ed25519 instruction itself, by number.
    for at in [4, 8, 14] {
        let mut check = good.clone();
        check.data[at..at + 2].copy_from_slice(&0u16.to_le_bytes());
        assert_refused(desk.send(&[check, claim.clone()], &[]), SettleError::SignatureCheck);
    }

    // Two signatures, both valid.
    let mut check = good.clone();
    let offsets: Vec<u8> =
        [62u16, u16::MAX, 30, u16::MAX, 126, 106, u16::MAX].iter().flat_map(|n| n.to_le_bytes()).collect();
    check.data = [&[2, 0], offsets.as_slice(), &offsets, &good.data[16..]].concat();
    assert_refused(desk.send(&[check, claim.clone()], &[]), SettleError::SignatureCheck);

    // A padding byte, and a byte behind the message.
    let mut check = good.clone();
    check.data[1] = 1;
    assert_refused(desk.send(&[check, claim.clone()], &[]), SettleError::SignatureCheck);
    let mut check = good.clone();
    check.data.push(0);
    assert_refused(desk.send(&[check, claim.clone()], &[]), SettleError::SignatureCheck);

    // A wrong signature does not even reach the program.
    let mut check = good;
    check.data[50] ^= 1;
    let refused = desk.send(&[check, claim], &[]).unwrap_err();
    assert!(!refused.failure.meta.logs.iter().any(|line| line.contains(&settlement::ID.to_string())));
}

#[test]
fn a_session_key_signs_instead_of_the_consumer() {
    let mut desk = Desk::new();
    let session = key("session");
    let args = OpenChannelArgs { open_slot: desk.open_slot, session: Some(session.pubkey()), grant: None };
    desk.send(&[desk.open_channel_ix(args)], &[&desk.consumer()]).unwrap();
    desk.deposit(1_000_000);
    let voucher = desk.voucher(1, 1_000, 1_000);
    assert_refused(desk.settle_voucher(&voucher, 1_000, false), SettleError::SignatureCheck);
    let check = signature_check(&session, &voucher.to_bytes());
    desk.send(&[check, desk.settle_voucher_ix(1_000, false)], &[]).unwrap();
}

#[test]
fn a_voucher_settles_within_its_compute_ceiling() {
    let mut desk = desk();
    let voucher = desk.voucher(1, 1_000, 1_000);
    let sent = desk.settle_voucher(&voucher, 1_000, false).unwrap();
    // With the 2,400 of the ed25519 program where the runtime counts them.
    assert!(sent.compute_units() <= 20_000, "{} CU", sent.compute_units());
    println!("settle_voucher: {} CU", sent.compute_units());
}
