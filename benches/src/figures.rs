//! Numbers of repeated measurements, and how they are printed.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use std::time::Duration;

/// The value below which a fraction `q` of the values lies; 0 for none.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * q).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or_default()
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Times of one block of requests.
#[derive(Debug, Default, Clone)]
pub struct Block {
    /// Of each request, in milliseconds.
    pub millis: Vec<f64>,
    /// From the first request's start to the last one's end.
    pub took: Duration,
    /// Requests that got no answer; their times are not counted.
    pub failed: usize,
}

impl Block {
    pub fn per_second(&self) -> f64 {
        self.millis.len() as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// Both blocks as one.
    pub fn with(&self, other: &Self) -> Self {
        Self {
            millis: [&self.millis[..], &other.millis[..]].concat(),
            took: self.took + other.took,
            failed: self.failed + other.failed,
        }
    }
}

/// A table whose first column is text and whose others are numbers.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Prints a table that has been filled.
pub fn print(table: &Table) {
    println!("{table}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((median(&values), quantile(&values, 0.99), quantile(&values, 1.0)), (50.0, 99.0, 100.0));
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
        assert_eq!(median(&[]), 0.0);
    }
}
