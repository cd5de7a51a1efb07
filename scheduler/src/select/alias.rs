//! Walker's alias method: draws an index with probability proportional to its weight in constant time.

use rand::Rng;

#[derive(Debug, Default)]
pub struct AliasTable {
    /// Per column: the chance to stay, and where to go otherwise.
    columns: Vec<(f32, u32)>,
}

impl AliasTable {
    /// Weights that are not positive and finite count as the smallest positive one, so nobody is unreachable.
    pub fn new(weights: &[f64]) -> Self {
        let usable = |weight: f64| weight.is_finite() && weight > 0.0;
        let least = weights.iter().copied().filter(|w| usable(*w)).fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() { least } else { 1.0 };
        let weights: Vec<f64> = weights.iter().map(|w| if usable(*w) { *w } else { least }).collect();
        let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;

        // Vose's construction: every column takes what it lacks from one that has too much.
        let mut share: Vec<f64> = weights.iter().map(|w| w / mean).collect();
        let mut columns: Vec<(f32, u32)> = (0..share.len()).map(|i| (1.0, i as u32)).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) = (0..share.len()).partition(|&i| share[i] < 1.0);
        while let (Some(&taker), Some(&giver)) = (poor.last(), rich.last()) {
            poor.pop();
            columns[taker] = (share[taker] as f32, giver as u32);
            share[giver] -= 1.0 - share[taker];
            if share[giver] < 1.0 {
                rich.pop();
                poor.push(giver);
            }
        }
        Self { columns }
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// `None` only when the table is empty.
    pub fn draw(&self, rng: &mut impl Rng) -> Option<usize> {
        if self.columns.is_empty() {
            return None;
        }
        let column = rng.random_range(0..self.columns.len());
        let (stay, other) = self.columns[column];
        Some(if rng.random::<f32>() < stay { column } else { other as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::SmallRng};

    #[test]
    fn draws_follow_the_weights() {
        let weights = [100.0, 10.0, 1.0, 0.0, f64::NAN];
        let table = AliasTable::new(&weights);
        let mut rng = SmallRng::seed_from_u64(1);
        let mut seen = [0_u32; 5];
        for _ in 0..113_000 {
            seen[table.draw(&mut rng).unwrap_or(0)] += 1;
        }
        for (count, expected) in seen.iter().zip([100_000.0, 10_000.0, 1_000.0, 1_000.0, 1_000.0]) {
            let error = (f64::from(*count) - expected).abs() / f64::sqrt(expected);
            assert!(error < 5.0, "{seen:?} is {error:.1} standard deviations off");
        }
    }

    #[test]
    fn an_empty_table_draws_nothing() {
        assert_eq!(AliasTable::new(&[]).draw(&mut SmallRng::seed_from_u64(1)), None);
    }
}
