//! The retry budget: retries may add a fifth to the load of the last ten seconds and never fewer than ten a second, so
//! a failing fleet is not drowned in repeats.

use crate::{lock, time::Tick, window::Window};
use std::sync::Mutex;

const SHARE: f64 = 0.2;
const FLOOR: u64 = 100;

#[derive(Debug, Default)]
pub(crate) struct RetryBudget(Mutex<Window>);

impl RetryBudget {
    pub fn request(&self, now: Tick) {
        lock(&self.0).add(now, 1, 0);
    }

    /// Takes one retry, if there is one left.
    pub fn take(&self, now: Tick) -> bool {
        let mut window = lock(&self.0);
        let (requests, retries) = window.sums(now);
        let granted = retries < FLOOR.max((requests as f64 * SHARE) as u64);
        if granted {
            window.add(now, 0, 1);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_fifth_of_the_requests_and_at_least_the_floor() {
        let budget = RetryBudget::default();
        let now = Tick::from_millis(1);
        assert_eq!((0..1_000).filter(|_| budget.take(now)).count(), 100);
        (0..1_000).for_each(|_| budget.request(now));
        assert_eq!((0..1_000).filter(|_| budget.take(now)).count(), 100);
        assert!(budget.take(Tick::from_millis(11_000)));
    }
}
