//! The price of AIC: how many base units one USD is worth, reported by a few keys and rolled once an epoch.

use anchor_lang::prelude::*;

use crate::{
    clock::epoch,
    constants::{EPOCH_MAX_S, EPOCH_MIN_S, MAX_REPORTERS, RATE_MAX, RATE_MAX_AGE, RATE_MIN, RATE_STEP_BPS},
    error::CoinError,
};

/// What one reporter last said.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// The rate epoch in which it was submitted; it counts in no other.
    pub epoch: u32,
    /// AIC base units per USD; 0 = nothing was submitted yet.
    pub rate: u64,
}

/// PDA `["rate"]`. Read-only in money paths; only reporters and the crank write it.
#[account]
#[derive(InitSpace, Debug)]
pub struct Rate {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// AIC base units per 1e9 nano-credits, that is per USD. At $0.05 per AIC: 20e9.
    pub rate: u64,
    /// The rate epoch in which `rate` was fixed.
    pub epoch: u32,
    /// Length of a rate epoch in seconds.
    pub epoch_s: u32,
    /// Who reports; the first `n_reporters` entries count.
    pub reporters: [Pubkey; MAX_REPORTERS],
    /// How many report, 1 to 5.
    pub n_reporters: u8,
    /// The last submission of each reporter, by index.
    pub submissions: [Submission; MAX_REPORTERS],
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 128],
}

impl Rate {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The rate for converting money at a moment.
    ///
    /// # Errors
    /// [`CoinError::RateStale`] when it was fixed more than [`RATE_MAX_AGE`] rate epochs ago.
    pub fn current(&self, now: i64) -> Result<u64> {
        RateView { rate: self.rate, epoch: self.epoch, epoch_s: self.epoch_s }.current(now)
    }

    /// The rate epoch of a moment.
    pub fn epoch_at(&self, now: i64) -> Result<u32> {
        Ok(epoch(now, self.epoch_s).ok_or(CoinError::ClockWentBack)?)
    }

    /// The index of a reporter.
    pub fn reporter(&self, key: &Pubkey) -> Result<usize> {
        let n = usize::from(self.n_reporters);
        Ok(self.reporters.iter().take(n).position(|reporter| reporter == key).ok_or(CoinError::NotReporter)?)
    }

    /// Whether a set of reporters may be stored: one to five, distinct, none the default key.
    #[must_use]
    pub fn good_reporters(reporters: &[Pubkey]) -> bool {
        (1..=MAX_REPORTERS).contains(&reporters.len())
            && reporters
                .iter()
                .enumerate()
                .all(|(i, key)| *key != Pubkey::default() && !reporters.iter().take(i).any(|other| other == key))
    }

    /// Other keys report from now on. What was submitted before is void, whoever submitted it.
    pub fn set_reporters(&mut self, reporters: &[Pubkey]) -> Result<()> {
        require!(Self::good_reporters(reporters), CoinError::BadReporters);
        self.reporters = [Pubkey::default(); MAX_REPORTERS];
        for (slot, key) in self.reporters.iter_mut().zip(reporters) {
            *slot = *key;
        }
        self.n_reporters = u8::try_from(reporters.len()).map_err(|_| CoinError::BadReporters)?;
        self.submissions = [Submission::default(); MAX_REPORTERS];
        Ok(())
    }

    /// Stores what a reporter says for the current epoch; the last word counts.
    pub fn submit(&mut self, reporter: usize, rate: u64, now: i64) -> Result<()> {
        require!((RATE_MIN..=RATE_MAX).contains(&rate), CoinError::RateOutOfBounds);
        let epoch = self.epoch_at(now)?;
        *self.submissions.get_mut(reporter).ok_or(CoinError::NotReporter)? = Submission { epoch, rate };
        Ok(())
    }

    /// Fixes the rate of the current epoch: the median of what at least half of the reporters submitted in it,
    /// moved at most [`RATE_STEP_BPS`] from the old rate. Returns (old, new).
    pub fn roll(&mut self, now: i64) -> Result<(u64, u64)> {
        let epoch = self.epoch_at(now)?;
        require!(epoch > self.epoch, CoinError::AlreadyRolled);
        let mut said = [0u64; MAX_REPORTERS];
        let mut n = 0usize;
        for submission in self.submissions.iter().take(usize::from(self.n_reporters)) {
            if submission.epoch == epoch && submission.rate > 0 {
                said[n] = submission.rate;
                n += 1;
            }
        }
        require!(n > 0 && n * 2 >= usize::from(self.n_reporters), CoinError::NoQuorum);
        let old = self.rate;
        self.rate = clamp_step(old, median(&mut said[..n]))?.clamp(RATE_MIN, RATE_MAX);
        self.epoch = epoch;
        Ok((old, self.rate))
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(CoinError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        let reporters = self.reporters.get(..usize::from(self.n_reporters)).ok_or(CoinError::Invariant)?;
        require!(
            self.version == Self::VERSION
                && (RATE_MIN..=RATE_MAX).contains(&self.rate)
                && (EPOCH_MIN_S..=EPOCH_MAX_S).contains(&self.epoch_s)
                && Self::good_reporters(reporters),
            CoinError::Invariant
        );
        Ok(())
    }
}

crate::view! {
    /// What converts money: a [`Rate`] without its reporters.
    RateView of Rate {
        /// See [`Rate::rate`].
        rate: u64 = 10,
        /// See [`Rate::epoch`].
        epoch: u32 = 18,
        /// See [`Rate::epoch_s`].
        epoch_s: u32 = 22,
    }
}

impl RateView {
    /// [`Rate::current`].
    pub fn current(&self, now: i64) -> Result<u64> {
        let today = epoch(now, self.epoch_s).ok_or(CoinError::ClockWentBack)?;
        let age = today.checked_sub(self.epoch).ok_or(CoinError::ClockWentBack)?;
        require!(age <= RATE_MAX_AGE, CoinError::RateStale);
        Ok(self.rate)
    }
}

/// The median; of an even number the lower of the middle two, so that it is always a value someone reported.
/// `values` is not empty.
fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values[(values.len() - 1) / 2]
}

/// `want`, moved into ±[`RATE_STEP_BPS`] of `old`.
fn clamp_step(old: u64, want: u64) -> Result<u64> {
    let step = waybill_mechanism::amount::mul_div_floor(old, RATE_STEP_BPS, 10_000).ok_or(CoinError::Overflow)?;
    let low = old.checked_sub(step).ok_or(CoinError::Overflow)?;
    let high = old.checked_add(step).ok_or(CoinError::Overflow)?;
    Ok(want.clamp(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(reporters: u8) -> Rate {
        let mut keys = [Pubkey::default(); MAX_REPORTERS];
        for (i, key) in keys.iter_mut().take(usize::from(reporters)).enumerate() {
            *key = Pubkey::new_from_array([u8::try_from(i).unwrap() + 1; 32]);
        }
        Rate {
            version: Rate::VERSION,
            bump: 255,
            rate: 20_000_000_000,
            epoch: 10,
            epoch_s: 100,
            reporters: keys,
            n_reporters: reporters,
            submissions: [Submission::default(); MAX_REPORTERS],
            seq: 0,
            rent_payer: Pubkey::default(),
            _reserved: [0; 128],
        }
    }

    #[test]
    fn the_view_is_the_accounts() {
        let state = Rate { epoch: 11, epoch_s: 101, ..rate(3) };
        let mut bytes = Vec::new();
        state.try_serialize(&mut bytes).unwrap();
        let view = RateView::try_deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(view, RateView { rate: state.rate, epoch: state.epoch, epoch_s: state.epoch_s });
        assert!(RateView::try_deserialize(&mut &bytes[..25]).is_err(), "cut within the last field");
        bytes[0] ^= 1;
        assert!(RateView::try_deserialize(&mut bytes.as_slice()).is_err(), "another type");
    }

    #[test]
    fn the_median_of_a_quorum_becomes_the_rate() {
        let mut state = rate(3);
        state.submit(0, 20_100_000_000, 1_100).unwrap();
        assert_eq!(state.roll(1_100).unwrap_err(), CoinError::NoQuorum.into());
        state.submit(2, 20_500_000_000, 1_100).unwrap();
        assert_eq!(state.roll(1_150).unwrap(), (20_000_000_000, 20_100_000_000));
        assert_eq!(state.epoch, 11);
        assert_eq!(state.roll(1_199).unwrap_err(), CoinError::AlreadyRolled.into());
    }

    #[test]
    fn one_outlier_moves_nothing() {
        let mut state = rate(3);
        for (reporter, value) in [(0, 20_100_000_000), (1, RATE_MAX), (2, 20_200_000_000)] {
            state.submit(reporter, value, 1_100).unwrap();
        }
        assert_eq!(state.roll(1_100).unwrap().1, 20_200_000_000);
    }

    #[test]
    fn a_step_is_at_most_ten_per_cent() {
        for (said, expected) in [(RATE_MAX, 22_000_000_000), (RATE_MIN, 18_000_000_000)] {
            let mut state = rate(1);
            state.submit(0, said, 1_100).unwrap();
            assert_eq!(state.roll(1_100).unwrap().1, expected);
        }
    }

    #[test]
    fn yesterdays_submission_does_not_count() {
        let mut state = rate(1);
        state.submit(0, 21_000_000_000, 1_100).unwrap();
        assert_eq!(state.roll(1_200).unwrap_err(), CoinError::NoQuorum.into());
    }

    #[test]
    fn a_rate_is_fresh_for_two_more_epochs() {
        let state = rate(1);
        assert_eq!(state.current(1_299).unwrap(), 20_000_000_000);
        assert_eq!(state.current(1_300).unwrap_err(), CoinError::RateStale.into());
        assert_eq!(state.current(999).unwrap_err(), CoinError::ClockWentBack.into());
    }

    #[test]
    fn rates_outside_the_bounds_are_refused() {
        let mut state = rate(1);
        for value in [0, RATE_MIN - 1, RATE_MAX + 1, u64::MAX] {
            assert_eq!(state.submit(0, value, 1_100).unwrap_err(), CoinError::RateOutOfBounds.into());
        }
    }
}
