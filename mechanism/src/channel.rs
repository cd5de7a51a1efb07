//! What a settlement moves from a channel's balance to its gateway: by voucher, or by the grant of delegated mode.
//! A claim the balance does not cover moves what it covers, and stays usable for the remainder.

use crate::amount::{affordable_nc, debit_aic};

/// Why a settlement moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// An input violates a stated condition.
    #[error("input violates a condition of the mechanism")]
    BadInput,
    /// The grant is absent or has expired.
    #[error("the channel's grant is not active")]
    Inactive,
    /// The claim is not above what is settled.
    #[error("the claim is not above what is settled")]
    StaleClaim,
    /// The claim is above the voucher's ceiling.
    #[error("the claim is above the ceiling")]
    AboveCeiling,
}

/// What a settlement moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Added to the channel's settled total and to the gateway vault.
    pub delta_nc: u64,
    /// Taken from the channel's balance into the gateway vault; never above the balance.
    pub delta_aic: u64,
}

/// A channel's spending limit for its own gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Unix seconds; inactive from this second on.
    pub expires: i64,
    /// Length of a period in seconds, > 0.
    pub period_s: u32,
    /// Unix seconds at which the current period began.
    pub period_start: i64,
    /// Limit per period; 0 = no grant.
    pub limit_nc: u64,
    /// Settled in the current period.
    pub used_nc: u64,
}

/// What a delegated settlement moves, and the channel fields after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelegatedMove {
    /// What moves; `delta_nc` may be 0.
    pub moved: Moved,
    /// The grant with its new period and use.
    pub grant: Grant,
    /// The channel's settled total.
    pub settled_nc: u64,
}

impl Grant {
    /// Conditions every reachable grant satisfies at `now`.
    fn check(&self, now: i64) -> Result<(), ChannelError> {
        let sound = self.period_s > 0
            && now >= self.period_start
            && self.used_nc <= self.limit_nc
            && self.period_start >= 0
            && self.expires >= 0;
        if !sound {
            return Err(ChannelError::BadInput);
        }
        if self.limit_nc == 0 || now >= self.expires {
            return Err(ChannelError::Inactive);
        }
        Ok(())
    }

    /// The grant as of `now`: a new period refills the limit in full, stays on the grid and carries nothing over.
    pub fn at(&self, now: i64) -> Result<Grant, ChannelError> {
        self.check(now)?;
        // `check` gave 0 ≤ period_start ≤ now and period_s > 0.
        // Unsigned, because SBF has no signed division.
        let into_period = now.abs_diff(self.period_start) % u64::from(self.period_s);
        let period_start = now.saturating_sub_unsigned(into_period);
        let used_nc = if period_start == self.period_start { self.used_nc } else { 0 };
        Ok(Grant { period_start, used_nc, ..*self })
    }

    /// What new requests may still cost at `now` when `unsettled_nc` is charged or reserved but not settled.
    pub fn room_nc(&self, now: i64, unsettled_nc: u64) -> Result<u64, ChannelError> {
        let grant = self.at(now)?;
        Ok(grant.limit_nc.saturating_sub(grant.used_nc).saturating_sub(unsettled_nc))
    }
}

/// Settles a voucher up to `claim_cum_nc`. `ceiling_nc` is the voucher's `acked_nc`, or its `cum_nc` when the gateway
/// signs as well. `rate` is AIC base units per USD (1e9 nc).
pub fn settle_amount(
    settled_nc: u64,
    claim_cum_nc: u64,
    ceiling_nc: u64,
    balance_aic: u64,
    rate: u64,
) -> Result<Moved, ChannelError> {
    if rate == 0 {
        return Err(ChannelError::BadInput);
    }
    if claim_cum_nc <= settled_nc {
        return Err(ChannelError::StaleClaim);
    }
    if claim_cum_nc > ceiling_nc {
        return Err(ChannelError::AboveCeiling);
    }
    pay(claim_cum_nc - settled_nc, balance_aic, rate)
}

/// Settles a delegated claim up to `claim_cum_nc` within the grant. Equal claims may be sent again for the remainder.
pub fn delegated_amount(
    now: i64,
    grant: &Grant,
    settled_nc: u64,
    claim_cum_nc: u64,
    balance_aic: u64,
    rate: u64,
) -> Result<DelegatedMove, ChannelError> {
    if rate == 0 {
        return Err(ChannelError::BadInput);
    }
    let mut grant = grant.at(now)?;
    if claim_cum_nc <= settled_nc {
        return Err(ChannelError::StaleClaim);
    }
    let want = (claim_cum_nc - settled_nc).min(grant.limit_nc - grant.used_nc);
    let moved = pay(want, balance_aic, rate)?;
    // `delta_nc` is at most the room and at most the claim, so neither sum can overflow.
    grant.used_nc += moved.delta_nc;
    Ok(DelegatedMove { moved, grant, settled_nc: settled_nc + moved.delta_nc })
}

/// `want_nc`, or as much of it as the balance covers.
fn pay(want_nc: u64, balance_aic: u64, rate: u64) -> Result<Moved, ChannelError> {
    // want ≤ balance·10⁹/rate exactly when its debit is within the balance: the usual case needs one division.
    if let Some(delta_aic) = debit_aic(want_nc, rate).filter(|debit| *debit <= balance_aic) {
        return Ok(Moved { delta_nc: want_nc, delta_aic });
    }
    let delta_nc = affordable_nc(balance_aic, rate).ok_or(ChannelError::BadInput)?;
    let delta_aic = debit_aic(delta_nc, rate).ok_or(ChannelError::BadInput)?;
    Ok(Moved { delta_nc, delta_aic })
}
