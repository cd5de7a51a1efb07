//! What instructions may use and create: what `programs/COMPUTE.md` says that they did, plus 5 %.
//!
//! With `WAYBILL_WRITE_COMPUTE=1` each measurement is appended to `compute.tsv` in the target directory, from which
//! `cargo run -p waybill-tests --example compute` writes the page anew.

use std::{collections::BTreeMap, fmt, io::Write as _, path::PathBuf, sync::LazyLock};

use anchor_lang::prelude::Pubkey;

use crate::probe::idl::Idls;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/COMPUTE.md");

/// What the design allows an instruction, in compute units; the rest has no limit but its own last measurement.
pub const DESIGN: &[(&str, u64)] = &[
    ("coin::submit_rate", 10_000),
    ("coin::roll_rate", 10_000),
    ("coin::release", 30_000),
    ("market::register_party", 25_000),
    ("market::add_stake", 20_000),
    ("market::begin_unstake", 10_000),
    ("market::finish_unstake", 20_000),
    ("market::slash", 20_000),
    ("market::register_artifact", 30_000),
    ("market::create_container", 35_000),
    ("market::post_ask", 15_000),
    ("market::post_offer", 15_000),
    ("market::roll_market", 12_000),
    ("market::roll_container", 15_000),
    ("market::create_campaign", 30_000),
    ("market::bid_slot", 20_000),
    ("market::roll_slots", 30_000),
    ("settlement::settle_promo", 20_000),
    ("settlement::open_channel", 45_000),
    ("settlement::sync_deposit", 10_000),
    ("settlement::settle_voucher", 12_000),
    ("settlement::settle_delegated", 20_000),
    ("settlement::request_close", 8_000),
    ("settlement::close_channel", 25_000),
    ("settlement::post_batch", 30_000),
    ("settlement::finalize_batch", 15_000),
    ("settlement::seed_audits", 15_000),
    ("settlement::submit_verdict", 15_000),
    ("settlement::open_dispute", 25_000),
    ("settlement::respond_dispute", 40_000),
    ("settlement::resolve_dispute", 40_000),
    ("settlement::claim_line", 25_000),
    ("settlement::withdraw_earnings", 15_000),
    ("settlement::direct_claim", 30_000),
];

/// Instructions that only another program calls, and which call of its measures them.
pub const INNER: &[(&str, &str)] =
    &[("market::charge_promo", "settlement::settle_promo"), ("market::close_royalties", "settlement::close_royalties")];

static IDLS: LazyLock<Idls> = LazyLock::new(Idls::load);
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(&std::fs::read_to_string(PAGE).unwrap_or_default()));

/// The page as it was last written.
#[derive(Default)]
struct Table {
    /// By instruction and scenario.
    units: BTreeMap<(String, String), u64>,
    /// The largest of each type.
    bytes: BTreeMap<String, usize>,
}

impl Table {
    fn read(page: &str) -> Self {
        let mut table = Self::default();
        for line in page.lines() {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            match cells[..] {
                [instruction, scenario, used, ..] if cells.len() == 5 => {
                    if let Ok(used) = used.parse() {
                        table.units.insert((instruction.trim_matches('`').to_owned(), scenario.to_owned()), used);
                    }
                }
                [account, bytes, _] => {
                    if let Some(Ok(most)) = bytes.split(" – ").last().map(str::parse) {
                        table.bytes.insert(account.trim_matches('`').to_owned(), most);
                    }
                }
                _ => {}
            }
        }
        table
    }
}

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
        let other = || match data.len() {
            82 => "mint".to_owned(),
            165 => "token account".to_owned(),
            _ => "other account".to_owned(),
        };
        Self { name: IDLS.account(owner, data).unwrap_or_else(other), bytes: data.len(), lamports }
    }
}

/// Holds a call to what it used and created when the page was written.
///
/// # Panics
/// When the page does not know it, or it grew.
#[track_caller]
pub(crate) fn check(instruction: &str, scenario: &str, units: u64, created: &[Created]) {
    let key = (instruction.to_owned(), scenario.to_owned());
    let Some(used) = TABLE.units.get(&key) else {
        panic!("programs/COMPUTE.md does not have {instruction} ({scenario}): write it anew, as its first lines say");
    };
    let ceiling = used + used / 20;
    assert!(units <= ceiling, "{instruction} ({scenario}) used {units} CU, {used} before");
    for account in created {
        let Some(most) = TABLE.bytes.get(&account.name) else {
            panic!("programs/COMPUTE.md does not have the account {}: write it anew", account.name);
        };
        assert!(account.bytes <= *most, "{} has {} bytes, {most} before", account.name, account.bytes);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_it_is_written() {
        let page = "| instruction | scenario | CU used | design | creates, with bytes |\n| --- | --- | ---: | ---: | --- |\n\
                    | `a::x` | one | 10 | – | b::C 7 |\n\n| account | bytes | rent |\n| --- | ---: | ---: |\n\
                    | `b::C` | 5 – 7 | 1 – 2 |\n| `b::D` | 9 | 1 |\n";
        let table = Table::read(page);
        assert_eq!(table.units, BTreeMap::from([(("a::x".to_owned(), "one".to_owned()), 10)]));
        assert_eq!(table.bytes, BTreeMap::from([("b::C".to_owned(), 7), ("b::D".to_owned(), 9)]));
    }
}
