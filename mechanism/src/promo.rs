//! Promotion beside its auction ([`crate::vcg`]): what is sold, when bidding ends, and who gets what an event costs.

use crate::amount::{BPS, EPOCHS_PER_PRICING_EPOCH, bps_floor};

/// What the three slots of an auction are worth relative to the first, in bps.
pub const ALPHA_BPS: [u16; 3] = [10_000, 6_000, 3_000];
/// The least an event costs and the least a bid may be, nc.
pub const RESERVE_NC: u64 = 50_000;
/// Quality of a campaign that nobody has measured yet, bps.
pub const NEW_QUALITY_BPS: u16 = 10_000;
/// The consumer's part of a charge, bps.
pub const REBATE_BPS: u16 = 5_000;
/// The part of whoever displayed the slot, bps.
pub const DISPLAY_BPS: u16 = 3_000;

/// The days of promotion are pricing epochs: 24 settlement epochs, a day when an epoch is an hour.
const DAY_EPOCHS: i64 = EPOCHS_PER_PRICING_EPOCH as i64;
/// Settlement epochs after a day in which its events are charged: posting (6 h), challenge (24 h) and room for both.
const CHARGE_EPOCHS: i64 = 2 * DAY_EPOCHS;

/// What one event costs, divided. The parts sum to the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Half for the consumer, rounded down.
    pub rebate_aic: u64,
    /// Three tenths for whoever displayed it, rounded down.
    pub display_aic: u64,
    /// The rest, destroyed.
    pub burn_aic: u64,
}

/// Divides a charge of `aic` base units.
pub fn divide(aic: u64) -> Shares {
    const { assert!(REBATE_BPS as u64 + DISPLAY_BPS as u64 <= BPS) };
    let rebate_aic = bps_floor(aic, REBATE_BPS);
    let display_aic = bps_floor(aic, DISPLAY_BPS);
    // Two floors of parts that are together at most one whole cannot exceed it.
    Shares { rebate_aic, display_aic, burn_aic: aic.saturating_sub(rebate_aic).saturating_sub(display_aic) }
}

/// When things happen to the auction of one day, in unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Bids count before this second, and the auction can be decided from it on: one settlement epoch before the day.
    pub bids_until: i64,
    /// First second of the day.
    pub begins: i64,
    /// First second after it.
    pub ends: i64,
    /// Events of the day are charged before this second.
    pub charges_until: i64,
}

/// The times of `day` where a settlement epoch lasts `epoch_s` seconds; `None` beyond the calendar.
pub fn day(day: u32, epoch_s: u32) -> Option<Day> {
    let epoch_s = i64::from(epoch_s);
    let length = epoch_s.checked_mul(DAY_EPOCHS)?;
    let begins = i64::from(day).checked_mul(length)?;
    let ends = begins.checked_add(length)?;
    let charges_until = ends.checked_add(epoch_s.checked_mul(CHARGE_EPOCHS)?)?;
    Some(Day { bids_until: begins.checked_sub(epoch_s)?, begins, ends, charges_until })
}

/// Seconds that a consumer's channel must be old before its first request counts, and that a closed campaign waits
/// before its escrow is paid back: 24 settlement epochs.
pub fn seasoning_s(epoch_s: u32) -> i64 {
    i64::from(epoch_s).saturating_mul(DAY_EPOCHS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_design() {
        // A price of 289,091 nc a thousand times, at 20 base units per nc.
        let whole = 289_091 * 1_000 * 20;
        let Shares { rebate_aic, display_aic, burn_aic } = divide(whole);
        assert_eq!((rebate_aic, display_aic, burn_aic), (2_890_910_000, 1_734_546_000, 1_156_364_000));
        assert_eq!(divide(1), Shares { rebate_aic: 0, display_aic: 0, burn_aic: 1 });
    }

    #[test]
    fn bidding_ends_an_epoch_before_the_day() {
        let times = day(20_717, 3_600);
        let begins = 20_717 * 86_400;
        assert_eq!(
            times,
            Some(Day { bids_until: begins - 3_600, begins, ends: begins + 86_400, charges_until: begins + 3 * 86_400 })
        );
        assert_eq!(seasoning_s(3_600), 86_400);
        assert_eq!(day(u32::MAX, u32::MAX), None, "beyond the calendar");
    }
}
