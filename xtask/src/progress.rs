//! Lines of progress on standard error, one or more for each step, each ending with how long it took.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// A step under way.
pub struct Step {
    name: String,
}

impl Step {
    /// Says that the step has found something to do, before a part of it that takes long.
    pub fn working(&self, what: &str) {
        eprintln!("  ..  {}: {what}", self.name);
    }
}

/// Runs `work`, which returns a few words on what it found or did, and prints them with the time taken.
pub fn step(name: &str, work: impl FnOnce(&Step) -> Result<String>) -> Result<()> {
    let start = Instant::now();
    let outcome = work(&Step { name: name.to_owned() });
    let took = seconds(start.elapsed());
    match &outcome {
        Ok(detail) => eprintln!("  ok  {name}: {detail} ({took})"),
        Err(_) => eprintln!("FAIL  {name} ({took})"),
    }
    outcome.map(drop).with_context(|| name.to_owned())
}

/// A duration for people: `0.04 s`, `12.3 s`, `4 min 05 s`.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    match whole {
        0 => format!("{:.2} s", duration.as_secs_f64()),
        1..=99 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(40)), "0.04 s");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }
}
