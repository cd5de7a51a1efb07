//! How the vendor's amount is shared along an artifact's lineage: a flattened royalty table, root first, own vendor last.

use crate::amount::{AmountError, BPS, bps_floor, require};

/// Most entries of a royalty table.
pub const MAX_LINEAGE: usize = 8;

/// Shares and parts by table entry; entries beyond the table are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineageSplit {
    /// Sums to 10 000.
    pub bps: [u16; MAX_LINEAGE],
    /// Sums to the vendor's amount.
    pub parts: [u64; MAX_LINEAGE],
}

/// Splits `amount` in proportion to the entries' asks: floors, the remainders to the last entry (all of it when every
/// ask is zero).
pub fn lineage_split(amount: u64, asks_nc: &[u64]) -> Result<LineageSplit, AmountError> {
    require(asks_nc.len() <= MAX_LINEAGE)?;
    let (_, ancestors) = asks_nc.split_last().ok_or(AmountError::BadInput)?;
    let total: u128 = asks_nc.iter().copied().map(u128::from).sum();
    let mut split = LineageSplit { bps: [0; MAX_LINEAGE], parts: [0; MAX_LINEAGE] };
    let mut rest_bps = BPS;
    let mut rest = amount;
    let mut entries = split.bps.iter_mut().zip(&mut split.parts);
    for (ask, (bps, part)) in ancestors.iter().zip(&mut entries) {
        let scaled = u128::from(*ask) * u128::from(BPS);
        let share = match (u64::try_from(scaled), u64::try_from(total)) {
            (Ok(scaled), Ok(total)) => scaled.checked_div(total).unwrap_or(0),
            _ => u64::try_from(scaled / total.max(1)).map_err(|_| AmountError::Overflow)?,
        };
        *bps = u16::try_from(share).map_err(|_| AmountError::Overflow)?;
        *part = bps_floor(amount, *bps);
        rest_bps = rest_bps.saturating_sub(share);
        rest = rest.saturating_sub(*part);
    }
    if let Some((bps, part)) = split.bps.iter_mut().zip(&mut split.parts).nth(ancestors.len()) {
        *bps = u16::try_from(rest_bps).map_err(|_| AmountError::Overflow)?;
        *part = rest;
    }
    Ok(split)
}
