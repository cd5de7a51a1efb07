//! What a scenario tells: rows of numbers, and curves that can be plotted.

use serde::Serialize;

/// The result of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name on the command line.
    pub scenario: &'static str,
    /// What it shows, in one sentence.
    pub about: &'static str,
    /// Names of the numbers of a row.
    pub columns: Vec<&'static str>,
    /// The table.
    pub rows: Vec<Row>,
    /// What the abscissa of the curves is.
    pub x_label: &'static str,
    /// What the ordinate of the curves is.
    pub y_label: &'static str,
    /// The curves; empty when there is nothing to plot.
    pub series: Vec<Series>,
}

/// One line of a report's table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What the numbers are of.
    pub label: String,
    /// One per column.
    pub values: Vec<f64>,
}

/// One curve.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// For the legend.
    pub label: String,
    /// (x, y), x rising.
    pub points: Vec<(f64, f64)>,
}

impl Row {
    /// A row.
    pub fn new(label: impl Into<String>, values: impl Into<Vec<f64>>) -> Self {
        Self { label: label.into(), values: values.into() }
    }
}

impl Series {
    /// A curve over 0, 1, 2 …
    pub fn over_epochs(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Self { label: label.into(), points: (0u32..).map(f64::from).zip(values).collect() }
    }
}

impl Report {
    /// One number of the table.
    pub fn value(&self, row: &str, column: &str) -> Option<f64> {
        let column = self.columns.iter().position(|name| *name == column)?;
        self.rows.iter().find(|r| r.label == row)?.values.get(column).copied()
    }
}
