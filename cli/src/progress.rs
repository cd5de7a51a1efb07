//! Progress for people, on standard error: one line a step, with a moving bar while it runs. Silent with `--json`.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// What happens now.
    pub fn step(&self, what: &str) {
        tracing::info!(step = what, "working");
        self.bar.set_message(what.to_owned());
    }

    /// A line that stays.
    pub fn done(&self, what: &str) {
        self.bar.println(format!("  {what}"));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
