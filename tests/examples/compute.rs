//! Writes `programs/COMPUTE.md` from what the tests measured: compute units of every instruction, sizes and rent of the
//! accounts it creates. Run them with `WAYBILL_WRITE_COMPUTE=1` first.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt::Write as _};

use waybill_tests::compute::{DESIGN, INNER, record_path};

fn main() {
    let lines = std::fs::read_to_string(record_path()).unwrap();
    let mut rows: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    // Smallest and largest of each type, with its rent.
    let mut accounts: BTreeMap<String, ((usize, u64), (usize, u64))> = BTreeMap::new();
    for line in lines.lines() {
        let mut fields = line.split('\t');
        let (Some(instruction), Some(scenario), Some(units)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let created: Vec<(&str, usize, u64)> = fields.next().unwrap_or("").split(',').filter_map(created).collect();
        for (name, bytes, rent) in &created {
            let size = (*bytes, *rent);
            let (least, most) = accounts.entry((*name).to_owned()).or_insert((size, size));
            (*least, *most) = ((*least).min(size), (*most).max(size));
        }
        let names: Vec<String> = created.iter().map(|(name, bytes, _)| format!("{name} {bytes}")).collect();
        let worst = rows.entry((instruction.to_owned(), scenario.to_owned())).or_default();
        worst.0 = units.parse::<u64>().unwrap().max(worst.0);
        if !names.is_empty() {
            worst.1 = names.join(", ");
        }
    }
    let mut page = String::from(
        "# Compute units and accounts\n\nMeasured in LiteSVM on the SBF binaries by the tests of `tests/`, which also hold every \
         instruction to\n5 % more than this and every account to its size. \"Design\" is what the design allows; ⚠ marks what is above it.\nWritten by `cargo run -p waybill-tests --example compute` after a test run with \
         `WAYBILL_WRITE_COMPUTE=1`.\n\n| instruction | scenario | CU used | design | creates, with bytes |\n| --- | --- | ---: | ---: | --- |\n",
    );
    for ((instruction, scenario), (units, created)) in &rows {
        let design = DESIGN.iter().find(|(known, _)| known == instruction);
        let design = design
            .map_or_else(|| "–".to_owned(), |(_, most)| format!("{most}{}", if units > most { " ⚠" } else { "" }));
        writeln!(page, "| `{instruction}` | {scenario} | {units} | {design} | {created} |").unwrap();
    }
    for (inner, outer) in INNER {
        writeln!(page, "| `{inner}` | within `{outer}` | | | |").unwrap();
    }
    page.push_str(
        "\n## Accounts\n\nRent is what the account holds and returns when it closes, in lamports (1 SOL = 1,000,000,000).\n\n\
         | account | bytes | rent |\n| --- | ---: | ---: |\n",
    );
    for (name, (least, most)) in &accounts {
        let span = |low: String, high: String| if low == high { low } else { format!("{low} – {high}") };
        let (bytes, rent) =
            (span(least.0.to_string(), most.0.to_string()), span(least.1.to_string(), most.1.to_string()));
        writeln!(page, "| `{name}` | {bytes} | {rent} |").unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/COMPUTE.md");
    std::fs::write(path, page).unwrap();
    println!("{} rows", rows.len());
}

/// `name|bytes|lamports`.
fn created(text: &str) -> Option<(&str, usize, u64)> {
    let mut parts = text.split('|');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
