//! Teacher forcing: a claimed answer is fed token by token through the same steps that generate one, and every position is
//! judged on this machine's own logits. Positions go one at a time on purpose: several at once run through other kernels and
//! differ in their last bits.

use super::{evidence::Evidence, sampling::Sampler};

/// An answer to be judged.
#[derive(Debug, Clone)]
pub struct Replay {
    /// At least one.
    pub tokens: Vec<u32>,
    /// The record that the claiming worker kept, where there is one.
    pub claimed: Option<Evidence>,
}

/// How a claimed answer compares with what this machine computes.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// What would have been drawn at each position, given the claimed tokens before it.
    pub drawn: Vec<u32>,
    /// How far each claimed token is from being drawn, in logits.
    pub margins: Vec<f32>,
    /// Per position the largest difference between the claimed logits and those here, relative to the largest claimed one;
    /// empty without a claimed record.
    pub differences: Vec<f32>,
}

impl Replayed {
    /// Largest and mean margin.
    pub fn margin(&self) -> (f32, f32) {
        largest_and_mean(&self.margins)
    }

    /// Largest and mean relative difference of logits; `None` without a claimed record.
    pub fn difference(&self) -> Option<(f32, f32)> {
        (!self.differences.is_empty()).then(|| largest_and_mean(&self.differences))
    }
}

fn largest_and_mean(values: &[f32]) -> (f32, f32) {
    let largest = values.iter().copied().fold(0f32, f32::max);
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    (largest, (sum / values.len().max(1) as f64) as f32)
}

/// The judgement so far.
pub(super) struct Judge {
    replay: Replay,
    replayed: Replayed,
}

impl Judge {
    pub fn new(replay: Replay) -> Self {
        Self { replay, replayed: Replayed { drawn: Vec::new(), margins: Vec::new(), differences: Vec::new() } }
    }

    /// Judges the next position and gives the claimed token, with which the answer goes on.
    pub fn judge(&mut self, sampler: &mut Sampler, logits: &[f32], best: u32) -> u32 {
        let position = self.replayed.drawn.len();
        let claimed = self.replay.tokens.get(position).copied().unwrap_or(best);
        let (drawn, margin) = sampler.judge(logits, best, claimed);
        self.replayed.drawn.push(drawn);
        self.replayed.margins.push(margin);
        if let Some(record) = &self.replay.claimed {
            self.replayed.differences.push(difference(record.logits(position), logits));
        }
        claimed
    }

    pub fn is_done(&self) -> bool {
        self.replayed.drawn.len() >= self.replay.tokens.len()
    }

    pub fn finish(self) -> Replayed {
        self.replayed
    }
}

/// `max|Δ| / max|z|` over the claimed logits; infinite where the record has no such position or names no such token.
fn difference(claimed: impl Iterator<Item = (u32, f32)>, logits: &[f32]) -> f32 {
    let (mut apart, mut scale, mut count) = (0f32, 0f32, 0);
    for (token, logit) in claimed.filter(|(token, _)| *token != u32::MAX) {
        let own = logits.get(token as usize).copied().unwrap_or(f32::INFINITY);
        // A claimed value that is no number is as far as can be.
        let gap = (logit - own).abs();
        apart = apart.max(if gap.is_nan() { f32::INFINITY } else { gap });
        scale = scale.max(logit.abs());
        count += 1;
    }
    if count == 0 || !apart.is_finite() { f32::INFINITY } else { apart / scale.max(f32::MIN_POSITIVE) }
}
