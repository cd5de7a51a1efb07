//! Writes `programs/COMPUTE.md` from what the tests measured: run them with `WAYBILL_WRITE_COMPUTE=1` first.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt::Write as _};

use waybill_tests::compute::{ceiling, record_path};

fn main() {
    let lines = std::fs::read_to_string(record_path()).unwrap();
    let mut rows: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in lines.lines() {
        let mut fields = line.split('\t');
        let (Some(instruction), Some(scenario), Some(units)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let worst = rows.entry((instruction.to_owned(), scenario.to_owned())).or_default();
        *worst = units.parse::<u64>().unwrap().max(*worst);
    }
    let mut page = String::from(
        "# Compute units\n\nMeasured in LiteSVM on the SBF binaries by the tests of `tests/`, which also hold every \
         instruction to its ceiling.\nWritten by `cargo run -p waybill-tests --example compute` after a test run with \
         `WAYBILL_WRITE_COMPUTE=1`.\n\n| instruction | scenario | used | ceiling |\n| --- | --- | ---: | ---: |\n",
    );
    for ((instruction, scenario), units) in &rows {
        let ceiling = ceiling(instruction).map_or_else(|| "–".to_owned(), |units| units.to_string());
        writeln!(page, "| `{instruction}` | {scenario} | {units} | {ceiling} |").unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../programs/COMPUTE.md");
    std::fs::write(path, page).unwrap();
    println!("{} rows", rows.len());
}
