//! What an offence takes from a stake, and who receives it: first what the harmed party lost, then a penalty that is
//! divided between the reporter, the harmed party and the fire.

use crate::amount::{AmountError, BPS, bps_floor, mul_div_ceil, require_bps};

/// The reporter's share of a penalty.
pub const REPORTER_BPS: u16 = 4_000;
/// The harmed party's share of a penalty; the rest burns.
pub const HARMED_BPS: u16 = 3_000;

/// A stake before an offence is punished. Amounts in AIC base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bond {
    /// What counts as stake.
    pub stake: u64,
    /// What is on its way out and still answers; taken after `stake`.
    pub unbonding: u64,
}

/// What a punishment takes. `restitution + penalty` has left the bond; `reporter + harmed + burned` is the penalty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slash {
    /// What is left.
    pub bond: Bond,
    /// To the harmed party, as far as the bond reaches.
    pub restitution: u64,
    /// Taken on top.
    pub penalty: u64,
    /// The reporter's part of the penalty, rounded down.
    pub reporter: u64,
    /// The harmed party's part of the penalty, rounded down.
    pub harmed: u64,
    /// The rest of the penalty.
    pub burned: u64,
}

impl Bond {
    /// All that answers.
    pub fn total(&self) -> Result<u64, AmountError> {
        self.stake.checked_add(self.unbonding).ok_or(AmountError::Overflow)
    }

    /// The penalty of a rate: `ceil(total·rate/10⁴)`, because what is owed rounds up.
    pub fn penalty(&self, rate_bps: u16) -> Result<u64, AmountError> {
        penalty(self.total()?, rate_bps)
    }

    /// Takes `restitution` and `penalty`, the restitution first, each as far as the bond reaches.
    pub fn slash(&self, restitution: u64, penalty: u64) -> Result<Slash, AmountError> {
        let total = self.total()?;
        let restitution = restitution.min(total);
        let penalty = penalty.min(total - restitution);
        let taken = restitution + penalty;
        let from_stake = taken.min(self.stake);
        let bond = Bond { stake: self.stake - from_stake, unbonding: self.unbonding - (taken - from_stake) };
        let reporter = bps_floor(penalty, REPORTER_BPS);
        let harmed = bps_floor(penalty, HARMED_BPS);
        // The two shares are below one whole, so their floors are at most the penalty.
        Ok(Slash { bond, restitution, penalty, reporter, harmed, burned: penalty - reporter - harmed })
    }
}

/// `ceil(total·rate/10⁴)`, at most `total`.
pub fn penalty(total: u64, rate_bps: u16) -> Result<u64, AmountError> {
    require_bps(&[rate_bps])?;
    mul_div_ceil(total, u64::from(rate_bps), BPS).ok_or(AmountError::Overflow)
}

/// What penalties of one epoch may still take: `ceil(total·rate/10⁴)` of the stake at the epoch's first offence, less
/// what they took already.
pub fn room(total: u64, rate_bps: u16, taken: u64) -> Result<u64, AmountError> {
    Ok(penalty(total, rate_bps)?.saturating_sub(taken))
}
