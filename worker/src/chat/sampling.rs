//! From logits to the next token. Everything is a function of the logits, the seed and the position, so the same request
//! with the same seed gives the same tokens whatever else the worker does at the time.

use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// Smallest set of tokens whose probabilities reach this; 1 keeps all.
    pub top_p: f32,
    /// Subtracted per earlier occurrence of the token in the answer.
    pub frequency_penalty: f32,
    /// Subtracted once when the token occurs in the answer.
    pub presence_penalty: f32,
    pub seed: [u8; 32],
}

impl Sampling {
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_p: 1.0, frequency_penalty: 0.0, presence_penalty: 0.0, seed: [0; 32] }
    }
}

/// Below this log-probability distance from the best token (in units of temperature) a token is never drawn: 1e-13.
const NEGLIGIBLE: f32 = -30.0;

pub(crate) struct Sampler {
    options: Sampling,
    counts: HashMap<u32, u32>,
    /// Tokens drawn so far.
    position: u32,
    penalised: Vec<f32>,
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    pub fn new(options: Sampling) -> Self {
        Self { options, counts: HashMap::new(), position: 0, penalised: Vec::new(), candidates: Vec::new() }
    }

    /// Draws the next token. `best` is the index of the highest logit, the lowest index among equals.
    pub fn next(&mut self, logits: &[f32], best: u32) -> u32 {
        let has_penalties = self.options.frequency_penalty != 0.0 || self.options.presence_penalty != 0.0;
        let token = if has_penalties {
            let penalised = self.penalise(logits);
            let best = argmax(&penalised);
            let token = self.draw(&penalised, best);
            self.penalised = penalised;
            *self.counts.entry(token).or_insert(0) += 1;
            token
        } else {
            self.draw(logits, best)
        };
        self.position += 1;
        token
    }

    /// Judges a token that somebody claims to have drawn here: what would have been drawn, and by how much the logits would
    /// have to differ for the claim to hold (0 when it is what is drawn, infinite for no token of the vocabulary). Counts the
    /// claimed token as drawn, because the answer goes on with it.
    pub fn judge(&mut self, logits: &[f32], best: u32, claimed: u32) -> (u32, f32) {
        let has_penalties = self.options.frequency_penalty != 0.0 || self.options.presence_penalty != 0.0;
        let (drawn, margin) = if has_penalties {
            let penalised = self.penalise(logits);
            let best = argmax(&penalised);
            let drawn = self.draw(&penalised, best);
            let margin = self.margin(&penalised, best, claimed);
            self.penalised = penalised;
            *self.counts.entry(claimed).or_insert(0) += 1;
            (drawn, margin)
        } else {
            (self.draw(logits, best), self.margin(logits, best, claimed))
        };
        self.position += 1;
        (drawn, if drawn == claimed { 0.0 } else { margin })
    }

    fn penalise(&mut self, logits: &[f32]) -> Vec<f32> {
        let mut penalised = std::mem::take(&mut self.penalised);
        penalised.clear();
        penalised.extend_from_slice(logits);
        for (&token, &count) in &self.counts {
            if let Some(logit) = penalised.get_mut(token as usize) {
                *logit -= self.options.presence_penalty + self.options.frequency_penalty * count as f32;
            }
        }
        penalised
    }

    fn draw(&mut self, logits: &[f32], best: u32) -> u32 {
        if self.options.temperature <= 0.0 {
            return best;
        }
        let highest = logits.get(best as usize).copied().unwrap_or_default();
        self.candidates.clear();
        for (token, &logit) in (0u32..).zip(logits) {
            let distance = (logit - highest) / self.options.temperature;
            if distance > NEGLIGIBLE {
                self.candidates.push((distance.exp(), token));
            }
        }
        if self.options.top_p < 1.0 {
            keep_nucleus(&mut self.candidates, self.options.top_p);
        }
        self.race().unwrap_or(best)
    }

    /// How far the claimed token is from being drawn, in logits; call after `draw` over the same logits. In the race the lead
    /// of token j over the claimed one is `T·ln(t_claimed / t_j)`, the difference of their Gumbel-perturbed logits. A token
    /// that leads but lies at the very edge of the nucleus may have been outside of it for the other side.
    fn margin(&self, logits: &[f32], best: u32, claimed: u32) -> f32 {
        let logit = |token: u32| logits.get(token as usize).copied();
        let (Some(highest), Some(own)) = (logit(best), logit(claimed)) else { return f32::INFINITY };
        let temperature = self.options.temperature;
        if temperature <= 0.0 {
            return highest - own;
        }
        let key = self.race_key();
        let ln_time = |token: u32, ln_weight: f64| (-unit(key, token).ln()).max(f64::MIN_POSITIVE).ln() - ln_weight;
        let scaled = |logit: f32| f64::from(logit - highest) / f64::from(temperature);
        let claimed_ln_time = ln_time(claimed, scaled(own));
        let lowest = self.candidates.iter().filter_map(|(_, token)| logit(*token)).fold(f32::INFINITY, f32::min);
        let is_cut = self.options.top_p < 1.0;
        let lead = self.candidates.iter().fold(0f64, |lead, (_, token)| {
            let Some(other) = logit(*token) else { return lead };
            let ahead = (claimed_ln_time - ln_time(*token, scaled(other))) * f64::from(temperature);
            let inside = if is_cut { f64::from(other - lowest) } else { f64::INFINITY };
            lead.max(ahead.min(inside))
        });
        // Outside of the nucleus it would have had to rise into it.
        let outside = if is_cut { f64::from(lowest - own).max(0.0) } else { 0.0 };
        lead.max(outside) as f32
    }

    /// What all draws of this position depend on, beside the token.
    fn race_key(&self) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.options.seed);
        hash.update(self.position.to_le_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The exponential race, which is Gumbel-max in another form: token i finishes after `-ln(u_i) / w_i`, the first one wins
    /// with probability proportional to `w_i`. Each `u_i` depends on seed, position and token alone.
    fn race(&self) -> Option<u32> {
        let key = self.race_key();
        let mut winner: Option<(f64, u32)> = None;
        for &(weight, token) in &self.candidates {
            let uniform = unit(key, token);
            // -ln(u) ≥ 1 - u, so most tokens lose without a logarithm.
            if winner.is_some_and(|(time, _)| 1.0 - uniform > time * f64::from(weight)) {
                continue;
            }
            let time = -uniform.ln() / f64::from(weight);
            if winner.is_none_or(|(best, _)| time < best) {
                winner = Some((time, token));
            }
        }
        winner.map(|(_, token)| token)
    }
}

/// A uniform number in (0, 1], by SplitMix64 over key and token.
fn unit(key: u64, token: u32) -> f64 {
    let mut x = key.wrapping_add((u64::from(token) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    ((x >> 11) + 1) as f64 / (1u64 << 53) as f64
}

/// Keeps the smallest set of highest weights that reaches `top_p` of their sum; never empty.
fn keep_nucleus(candidates: &mut Vec<(f32, u32)>, top_p: f32) {
    let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let target = f64::from(top_p) * candidates.iter().map(|c| f64::from(c.0)).sum::<f64>();
    // The nucleus is almost always small: sort only a prefix that holds it.
    let mut sorted = 0;
    let mut mass = 0.0;
    let mut block = 256;
    while sorted < candidates.len() {
        let rest = &mut candidates[sorted..];
        if block < rest.len() {
            rest.select_nth_unstable_by(block, order);
            rest[..block].sort_unstable_by(order);
        } else {
            rest.sort_unstable_by(order);
        }
        let end = (sorted + block).min(candidates.len());
        for at in sorted..end {
            mass += f64::from(candidates[at].0);
            if mass >= target {
                candidates.truncate(at + 1);
                return;
            }
        }
        sorted = end;
        block *= 8;
    }
}

/// Index of the highest value, the lowest index among equals; 0 for none.
pub(crate) fn argmax(values: &[f32]) -> u32 {
    let mut best = (0u32, f32::NEG_INFINITY);
    for (index, &value) in (0u32..).zip(values) {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sampler(temperature: f32, top_p: f32, seed: u8) -> Sampler {
        Sampler::new(Sampling { temperature, top_p, seed: [seed; 32], ..Sampling::greedy() })
    }

    fn draw(sampler: &mut Sampler, logits: &[f32]) -> u32 {
        sampler.next(logits, argmax(logits))
    }

    #[test]
    fn temperature_zero_takes_the_best_and_the_first_of_equals() {
        assert_eq!(draw(&mut sampler(0.0, 1.0, 1), &[0.0, 3.0, 3.0, 1.0]), 1);
    }

    #[test]
    fn frequencies_follow_the_softmax() {
        let mut sampler = sampler(1.0, 1.0, 7);
        let logits = [0.0, 2f32.ln(), 5f32.ln()];
        let mut counts = [0f64; 3];
        for _ in 0..8_000 {
            counts[draw(&mut sampler, &logits) as usize] += 1.0 / 8_000.0;
        }
        for (count, expected) in counts.iter().zip([1.0 / 8.0, 2.0 / 8.0, 5.0 / 8.0]) {
            assert!((count - expected).abs() < 0.02, "{counts:?}");
        }
    }

    #[test]
    fn the_nucleus_excludes_the_tail_and_is_never_empty() {
        let mut narrow = sampler(1.0, 0.5, 3);
        let mut none = sampler(1.0, 0.0, 3);
        let mut wide: Vec<f32> = (0..5_000).map(|i| -(i as f32) * 0.001).collect();
        wide.rotate_left(1_234);
        let logits = [1.0f32, 0.9, -8.0, -9.0];
        for _ in 0..500 {
            assert!(draw(&mut narrow, &logits) < 2);
            assert_eq!(draw(&mut none, &logits), 0);
            assert!(draw(&mut narrow, &wide) < 5_000);
        }
    }

    #[test]
    fn one_seed_gives_one_sequence_and_another_gives_another() {
        let logits: Vec<f32> = (0..100).map(|i| (i % 7) as f32 * 0.1).collect();
        let sequence = |seed| {
            let mut sampler = sampler(1.0, 0.95, seed);
            (0..50).map(|_| draw(&mut sampler, &logits)).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }

    #[test]
    fn a_drawn_token_has_no_margin_and_another_one_what_it_would_take() {
        let logits: Vec<f32> = (0..200).map(|i| ((i * 37) % 100) as f32 * 0.05).collect();
        for options in [
            Sampling::greedy(),
            Sampling { temperature: 0.9, seed: [4; 32], ..Sampling::greedy() },
            Sampling { temperature: 0.7, top_p: 0.9, seed: [5; 32], ..Sampling::greedy() },
            Sampling { temperature: 0.7, frequency_penalty: 0.5, presence_penalty: 0.1, ..Sampling::greedy() },
        ] {
            let (mut draws, mut judges) = (Sampler::new(options), Sampler::new(options));
            for _ in 0..40 {
                let token = draw(&mut draws, &logits);
                assert_eq!(judges.judge(&logits, argmax(&logits), token), (token, 0.0));
            }
            let mut judge = Sampler::new(options);
            let token = draw(&mut Sampler::new(options), &logits);
            let other = (token + 1) % 200;
            let (drawn, margin) = judge.judge(&logits, argmax(&logits), other);
            assert_eq!(drawn, token);
            // Raised by a little more than its margin above all others, the claimed token is drawn.
            let mut raised = logits.clone();
            raised[other as usize] += margin + 1e-3;
            if options.top_p == 1.0 {
                assert_eq!(draw(&mut Sampler::new(options), &raised), other, "{options:?}");
            }
            assert!(margin > 0.0, "{options:?}");
        }
        let (_, margin) = Sampler::new(Sampling::greedy()).judge(&logits, argmax(&logits), 200);
        assert_eq!(margin, f32::INFINITY);
    }

    #[test]
    fn penalties_push_repeated_tokens_down() {
        let mut sampler =
            Sampler::new(Sampling { frequency_penalty: 0.5, presence_penalty: 0.2, ..Sampling::greedy() });
        let logits = [1.0, 0.5, 0.0];
        // 1.0 → 0.3 after one occurrence; 0.5 → -0.2; then 0.3 wins again and falls to -0.2.
        assert_eq!((0..3).map(|_| draw(&mut sampler, &logits)).collect::<Vec<_>>(), [0, 1, 0]);
    }
}
