//! Compute ceilings, and the record of what instructions used.
//!
//! With `WAYBILL_WRITE_COMPUTE=1` each measurement is appended to `compute.tsv` in the target directory, from which
//! `cargo run -p waybill-tests --example compute` writes `programs/COMPUTE.md`.

use std::{io::Write as _, path::PathBuf};

/// The most an instruction may use, by program and instruction: what it used when it was last measured, plus 5 %.
/// Addresses derive from fixed keys, so the search for a bump costs the same in every run.
const CEILINGS: &[(&str, u64)] = &[
    ("coin::init_coin", 27_000),
    ("coin::open_vault", 24_000),
    ("coin::genesis_mint", 60_500),
    ("coin::revoke_mint", 14_500),
    ("coin::init_rate", 19_000),
    ("coin::submit_rate", 13_500),
    ("coin::roll_rate", 12_500),
    ("coin::spend_vault", 23_000),
    ("market::init_config", 24_000),
    ("market::create_market", 25_000),
    ("market::set_base", 18_000),
    ("market::register_party", 28_500),
    ("market::add_stake", 25_000),
    ("market::begin_unstake", 15_500),
    ("market::finish_unstake", 25_500),
    ("market::register_node", 22_500),
    ("market::renew_node", 12_000),
    ("market::revoke_node", 7_000),
    ("market::register_artifact", 30_500),
    ("market::create_container", 27_500),
    ("market::retire_container", 9_000),
    ("market::post_ask", 35_500),
    ("market::post_offer", 32_000),
    ("market::roll_container", 64_500),
    ("settlement::open_channel", 60_000),
    ("settlement::sync_deposit", 10_000),
    ("settlement::settle_voucher", 20_000),
    ("settlement::settle_delegated", 20_000),
    ("settlement::request_close", 8_000),
    ("settlement::close_channel", 25_000),
    ("settlement::post_batch", 40_000),
    ("settlement::finalize_batch", 15_000),
    ("settlement::claim_line", 25_000),
    ("settlement::withdraw_earnings", 15_000),
];
/// The ceiling of an authority or pause instruction of any program.
const AUTHORITY_CEILING: u64 = 10_000;

/// The ceiling of `program::instruction`, if it has one.
#[must_use]
pub fn ceiling(instruction: &str) -> Option<u64> {
    let name = instruction.split_once("::")?.1;
    if ["propose_authority", "accept_authority", "pause", "resume"].contains(&name) {
        return Some(AUTHORITY_CEILING);
    }
    CEILINGS.iter().find(|(known, _)| *known == instruction).map(|(_, ceiling)| *ceiling)
}

/// Where measurements are kept between the tests and the generator.
#[must_use]
pub fn record_path() -> PathBuf {
    crate::world::target_dir().join("compute.tsv")
}

/// Appends one measurement when recording is asked for, and says whether it was.
pub(crate) fn record(instruction: &str, scenario: &str, units: u64) -> bool {
    if std::env::var_os("WAYBILL_WRITE_COMPUTE").is_none() {
        return false;
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(record_path()).unwrap();
    // One write per line, so lines of tests that run at the same time do not mix.
    file.write_all(format!("{instruction}\t{scenario}\t{units}\n").as_bytes()).unwrap();
    true
}
