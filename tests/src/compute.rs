//! Ceilings of compute and of account sizes, and the record of what instructions used and created.
//!
//! With `WAYBILL_WRITE_COMPUTE=1` each measurement is appended to `compute.tsv` in the target directory, from which
//! `cargo run -p waybill-tests --example compute` writes `programs/COMPUTE.md`.

use std::{fmt, io::Write as _, path::PathBuf};

use anchor_lang::prelude::Pubkey;
use sha2::{Digest as _, Sha256};

/// The most an instruction may use, by program and instruction: what it used when it was last measured, plus 5 %.
/// Addresses derive from fixed keys, so the search for a bump costs the same in every run.
const CEILINGS: &[(&str, u64)] = &[
    ("coin::burn_fees", 21_700),
    ("coin::cancel_spend", 8_400),
    ("coin::execute_spend", 23_200),
    ("coin::genesis_mint", 42_200),
    ("coin::init_coin", 19_500),
    ("coin::init_rate", 12_000),
    ("coin::init_release", 5_500),
    ("coin::open_vault", 27_200),
    ("coin::propose_spend", 13_800),
    ("coin::release", 31_300),
    ("coin::release_team", 19_400),
    ("coin::revoke_mint", 9_700),
    ("coin::roll_rate", 8_000),
    ("coin::set_reporters", 8_500),
    ("coin::spend_vault", 20_300),
    ("coin::submit_rate", 8_200),
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
    ("settlement::appeal_audit", 13_400),
    ("settlement::claim_line", 16_200),
    ("settlement::close_audit", 6_100),
    ("settlement::close_channel", 11_900),
    ("settlement::close_dispute", 3_400),
    ("settlement::close_event", 2_600),
    ("settlement::commit_canary", 16_300),
    ("settlement::create_verifier_set", 8_700),
    ("settlement::evict_verifier", 4_800),
    ("settlement::finalize_batch", 14_200),
    ("settlement::forfeit_line", 11_300),
    ("settlement::init_config", 43_300),
    ("settlement::join_verifiers", 14_100),
    ("settlement::leave_verifiers", 2_800),
    ("settlement::open_audit", 82_100),
    ("settlement::open_channel", 57_200),
    ("settlement::open_dispute", 29_000),
    ("settlement::open_earnings", 22_600),
    ("settlement::open_gateway", 39_000),
    ("settlement::pay_verifier", 17_600),
    ("settlement::post_batch", 33_200),
    ("settlement::prove_dispute", 6_600),
    ("settlement::prove_event", 21_500),
    ("settlement::prove_order", 5_400),
    ("settlement::prove_price", 9_200),
    ("settlement::punish_verifier", 65_100),
    ("settlement::punish_worker", 55_700),
    ("settlement::request_close", 5_200),
    ("settlement::resolve_audit", 9_900),
    ("settlement::resolve_direct_claim", 69_400),
    ("settlement::resolve_dispute", 64_900),
    ("settlement::resolve_overcharge", 69_800),
    ("settlement::respond_dispute", 11_300),
    ("settlement::respond_line", 6_200),
    ("settlement::reveal_canary", 7_600),
    ("settlement::revoke_delegate", 3_900),
    ("settlement::set_delegate", 5_500),
    ("settlement::set_sweep", 3_400),
    ("settlement::settle_bond", 14_500),
    ("settlement::settle_delegated", 15_200),
    ("settlement::settle_promo", 47_300),
    ("settlement::stage_receipt", 13_400),
    ("settlement::submit_verdict", 7_200),
    ("settlement::sweep_batch", 32_800),
    ("settlement::sweep_earnings", 20_100),
    ("settlement::sync_deposit", 7_200),
    ("settlement::top_up_gateway", 11_100),
    ("settlement::unstage_receipt", 2_400),
    ("settlement::waive_forfeit", 8_300),
    ("settlement::withdraw_earnings", 14_100),
];
/// The ceiling of an authority or pause instruction of any program.
const AUTHORITY_CEILING: u64 = 10_000;

/// The most bytes an account of ours may have: its size now. A batch grows with its lines: its row is
/// that of 8,192.
const SIZES: &[(&str, usize)] = &[
    ("coin::Breaker", 162),
    ("coin::CoinConfig", 383),
    ("coin::PendingSpend", 167),
    ("coin::Rate", 415),
    ("coin::Release", 96),
    ("market::Artifact", 698),
    ("market::Ask", 199),
    ("market::Campaign", 260),
    ("market::Container", 687),
    ("market::DetClass", 162),
    ("market::Market", 746),
    ("market::MarketConfig", 623),
    ("market::Node", 203),
    ("market::Observation", 158),
    ("market::Offer", 187),
    ("market::Party", 181),
    ("market::Seat", 146),
    ("market::SlashTicket", 154),
    ("market::SlotAuction", 1_479),
    ("market::SplitSnapshot", 299),
    ("settlement::Audit", 446),
    ("settlement::Batch", 1_391),
    ("settlement::Canary", 114),
    ("settlement::Channel", 399),
    ("settlement::Earnings", 274),
    ("settlement::FeeDay", 98),
    ("settlement::GatewayVault", 230),
    ("settlement::PoolBreaker", 162),
    ("settlement::PromoEvent", 279),
    ("settlement::SettleConfig", 538),
    ("settlement::StagedReceipt", 288),
    ("settlement::VerifierSet", 5_238),
    ("settlement::WorkerRecord", 146),
];

/// An account that an instruction created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// `program::Type`, or what it is when it is none of ours.
    pub name: String,
    /// Its data.
    pub bytes: usize,
    /// What it holds: its rent.
    pub lamports: u64,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}|{}", self.name, self.bytes, self.lamports)
    }
}

impl Created {
    /// What an account is, by its owner and first bytes.
    #[must_use]
    pub fn of(owner: &Pubkey, data: &[u8], lamports: u64) -> Self {
        let programs = [("coin", coin::ID), ("market", market::ID), ("settlement", settlement::ID)];
        let ours = programs.iter().find(|(_, id)| id == owner).map(|(program, _)| {
            let listed = |name: &&str| {
                let kind = name.split_once("::").map_or("", |(of, kind)| if of == *program { kind } else { "" });
                data.starts_with(&Sha256::digest(format!("account:{kind}"))[..8])
            };
            let name = SIZES.iter().map(|(name, _)| *name).find(listed);
            name.map_or_else(|| format!("{program}: not listed"), str::to_owned)
        });
        let other = || match data.len() {
            82 => "mint".to_owned(),
            165 => "token account".to_owned(),
            _ => "other account".to_owned(),
        };
        Self { name: ours.unwrap_or_else(other), bytes: data.len(), lamports }
    }

    /// # Panics
    /// When the account is larger than its row allows.
    pub fn assert_size(&self) {
        if let Some((_, most)) = SIZES.iter().find(|(name, _)| *name == self.name) {
            assert!(self.bytes <= *most, "{} has {} bytes, {most} before", self.name, self.bytes);
        }
    }
}

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
pub(crate) fn record(instruction: &str, scenario: &str, units: u64, created: &[Created]) -> bool {
    if std::env::var_os("WAYBILL_WRITE_COMPUTE").is_none() {
        return false;
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(record_path()).unwrap();
    // One write per line, so lines of tests that run at the same time do not mix.
    let created: Vec<String> = created.iter().map(ToString::to_string).collect();
    file.write_all(format!("{instruction}\t{scenario}\t{units}\t{}\n", created.join(",")).as_bytes()).unwrap();
    true
}
