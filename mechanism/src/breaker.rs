//! The breaker before a vault's outflow: what left in the last hour, held against five times the trailing hourly mean.
//! Both sums decay linearly, so the state is three numbers however many payments there are.

use crate::amount::mul_div_floor;

/// Seconds over which `hour_aic` decays.
pub const HOUR_S: u64 = 3_600;
/// Seconds over which `day_aic` decays.
pub const DAY_S: u64 = 86_400;
/// An hour may take this many times the trailing hourly mean.
pub const FACTOR: u64 = 5;
/// How long an outflow above the threshold waits, in seconds.
pub const DELAY_S: i64 = 21_600;
/// Hours in the trailing day.
const HOURS: u64 = 24;

/// What has left a vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outflow {
    /// Decayed sum of the last hour, AIC base units.
    pub hour_aic: u64,
    /// Decayed sum of the last day, AIC base units; a twenty-fourth is the hourly mean.
    pub day_aic: u64,
    /// When both were brought up to date, unix seconds.
    pub at: i64,
}

impl Outflow {
    /// Both sums at `now`, rounded down; a clock that went back changes nothing.
    #[must_use]
    pub fn decayed(self, now: i64) -> Self {
        let Some(elapsed) = now.checked_sub(self.at).and_then(|elapsed| u64::try_from(elapsed).ok()) else {
            return self;
        };
        Self { hour_aic: decay(self.hour_aic, elapsed, HOUR_S), day_aic: decay(self.day_aic, elapsed, DAY_S), at: now }
    }

    /// The most that an hour may take: [`FACTOR`] hourly means, but `floor_aic` where that is more, so that a vault which
    /// never paid can begin.
    #[must_use]
    pub fn threshold(self, floor_aic: u64) -> u64 {
        mul_div_floor(self.day_aic, FACTOR, HOURS).unwrap_or(u64::MAX).max(floor_aic)
    }

    /// Whether `amount_aic` more may leave at `now` without a delay.
    #[must_use]
    pub fn admits(self, amount_aic: u64, floor_aic: u64, now: i64) -> bool {
        let present = self.decayed(now);
        present.hour_aic.checked_add(amount_aic).is_some_and(|hour| hour <= present.threshold(floor_aic))
    }

    /// The state after `amount_aic` left at `now`; `None` when a sum exceeds u64.
    #[must_use]
    pub fn record(self, amount_aic: u64, now: i64) -> Option<Self> {
        let present = self.decayed(now);
        Some(Self {
            hour_aic: present.hour_aic.checked_add(amount_aic)?,
            day_aic: present.day_aic.checked_add(amount_aic)?,
            at: present.at,
        })
    }
}

/// `floor(sum·(window - elapsed)/window)`, zero from the end of the window on.
fn decay(sum: u64, elapsed: u64, window: u64) -> u64 {
    match window.checked_sub(elapsed) {
        None => 0,
        Some(left) => mul_div_floor(sum, left, window).unwrap_or(0),
    }
}
