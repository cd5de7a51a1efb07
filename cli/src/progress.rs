//! Progress for people, on standard error: a moving line for the step that runs, a plain line for what is done. Silent
//! with `--json`.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

pub struct Progress {
    bar: ProgressBar,
    quiet: bool,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, quiet }
    }

    /// What happens now.
    pub fn step(&self, what: &str) {
        tracing::info!(step = what, "working");
        self.bar.set_message(what.to_owned());
    }

    /// A line that stays.
    pub fn done(&self, what: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("  {what}"));
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
