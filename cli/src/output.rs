//! How results and errors leave the program: a table or sentences for people, one JSON document with `--json`.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::process::ExitCode;

/// Prints one result.
pub fn print<T: Serialize>(json: bool, value: &T, people: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(value)?);
    } else {
        println!("{}", people(value));
    }
    Ok(())
}

/// A table with one header row.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Says why a command failed; exit code 1.
pub fn fail(json: bool, error: &anyhow::Error) -> ExitCode {
    if json {
        println!("{}", serde_json::json!({ "error": format!("{error:#}") }));
    } else {
        eprintln!("error: {error:#}");
    }
    ExitCode::FAILURE
}

/// AIC base units as a decimal number of AIC.
pub fn aic(base_units: u64) -> String {
    decimal(base_units, 9)
}

/// Nano-credits as US dollars.
pub fn usd(nc: u64) -> String {
    format!("${}", decimal(nc, 9))
}

fn decimal(value: u64, digits: usize) -> String {
    let text = format!("{value:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Reads a decimal number of AIC into base units; refuses more than nine decimals.
pub fn parse_aic(text: &str) -> Result<u64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return Err(format!("{text:?} is no amount of AIC: write it like 250 or 0.5, with at most nine decimals"));
    }
    format!("{whole}{fraction:0<9}").parse().map_err(|_| format!("{text} AIC is more than there can be"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn amounts_of_aic_survive_printing_and_reading() {
        for (text, units) in [("0", 0), ("1", 1_000_000_000), ("0.5", 500_000_000), ("12.000000001", 12_000_000_001)] {
            assert_eq!(parse_aic(text).unwrap(), units);
            assert_eq!(aic(units), text);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", ".5", "-1", "1e3", "1.0000000001", "99999999999999999999", "1,5"] {
            assert!(parse_aic(text).is_err(), "{text}");
        }
    }
}
