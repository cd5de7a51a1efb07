//! Compute ceilings, and the record of what instructions used.
//!
//! With `WAYBILL_WRITE_COMPUTE=1` each measurement is appended to `compute.tsv` in the target directory, from which
//! `cargo run -p waybill-tests --example compute` writes `programs/COMPUTE.md`.

use std::{io::Write as _, path::PathBuf};

/// The most an instruction may use, by program and instruction: what it used when it was last measured, plus 5 %.
/// Addresses derive from fixed keys, so the search for a bump costs the same in every run.
const CEILINGS: &[(&str, u64)] = &[
    ("coin::genesis_mint", 41_900),
    ("coin::init_coin", 19_300),
    ("coin::init_rate", 11_800),
    ("coin::open_vault", 18_000),
    ("coin::revoke_mint", 9_500),
    ("coin::roll_rate", 7_900),
    ("coin::spend_vault", 14_600),
    ("coin::submit_rate", 8_100),
    ("market::add_stake", 16_600),
    ("market::apply_params", 8_100),
    ("market::begin_unstake", 11_100),
    ("market::bid_slot", 25_300),
    ("market::close_ask", 10_800),
    ("market::close_campaign", 6_700),
    ("market::close_container", 3_500),
    ("market::close_node", 2_800),
    ("market::close_observation", 4_200),
    ("market::close_seat", 2_500),
    ("market::close_slot_auction", 5_700),
    ("market::close_snapshot", 4_400),
    ("market::close_ticket", 2_700),
    ("market::create_campaign", 35_500),
    ("market::create_container", 19_300),
    ("market::create_market", 18_400),
    ("market::finish_unstake", 17_100),
    ("market::init_config", 17_300),
    ("market::observe_demand", 18_300),
    ("market::post_ask", 24_200),
    ("market::post_offer", 29_900),
    ("market::propose_params", 18_200),
    ("market::register_artifact", 21_600),
    ("market::register_det_class", 14_100),
    ("market::register_node", 16_400),
    ("market::register_party", 21_200),
    ("market::remove_offer", 19_600),
    ("market::renew_node", 7_700),
    ("market::retire_container", 5_500),
    ("market::revoke_node", 4_500),
    ("market::roll_container", 27_000),
    ("market::roll_market", 12_900),
    ("market::roll_minima", 6_100),
    ("market::roll_slots", 22_300),
    ("market::set_quality", 6_400),
    ("market::set_tier", 5_000),
    ("market::slash", 33_300),
    ("market::top_up_campaign", 16_000),
    ("market::tune_det_class", 7_800),
    ("market::withdraw_campaign", 17_400),
    ("settlement::claim_line", 16_200),
    ("settlement::close_channel", 11_900),
    ("settlement::close_event", 2_600),
    ("settlement::finalize_batch", 14_200),
    ("settlement::init_config", 35_400),
    ("settlement::open_channel", 57_200),
    ("settlement::open_earnings", 22_600),
    ("settlement::open_gateway", 39_000),
    ("settlement::post_batch", 33_200),
    ("settlement::prove_event", 21_500),
    ("settlement::request_close", 4_800),
    ("settlement::revoke_delegate", 3_900),
    ("settlement::set_delegate", 5_500),
    ("settlement::set_sweep", 3_200),
    ("settlement::settle_delegated", 15_200),
    ("settlement::settle_promo", 47_300),
    ("settlement::sweep_batch", 32_800),
    ("settlement::sweep_earnings", 16_600),
    ("settlement::sync_deposit", 6_700),
    ("settlement::top_up_gateway", 11_100),
    ("settlement::withdraw_earnings", 10_300),
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
