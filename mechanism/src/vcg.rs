//! The auction of promotion slots: position VCG, and GSP for comparison. Bids are nc per event, qualities basis points.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::RangeInclusive;

use crate::amount::{AmountError, BPS, div_ceil_wide, require};

/// Most slots of an auction.
pub const MAX_SLOTS: usize = 8;
/// Most bids of an auction.
pub const MAX_BIDS: usize = 16;
/// Legal qualities.
pub const QUALITY_BPS: RangeInclusive<u16> = 5_000..=15_000;

/// One campaign's bid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid<Id> {
    /// Campaign; breaks ties, lower first.
    pub id: Id,
    /// nc per event.
    pub bid_nc: u64,
    /// Quality, in [`QUALITY_BPS`].
    pub quality_bps: u16,
}

/// One sold slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot<Id> {
    /// Who won it.
    pub id: Id,
    /// What an event costs; at least the reserve, at most the bid.
    pub price_nc: u64,
}

/// Position VCG: each winner pays what its presence costs the others. Slots in order of position.
pub fn vcg<Id: Ord + Clone>(
    alpha_bps: &[u16],
    reserve_nc: u64,
    bids: &[Bid<Id>],
) -> Result<Vec<Slot<Id>>, AmountError> {
    let ranked = rank(alpha_bps, reserve_nc, bids)?;
    let sold = alpha_bps.len().min(ranked.len());
    let alpha = |position: usize| alpha_bps.get(position).filter(|_| position < sold).map_or(0, |a| u128::from(*a));
    let price = |position: usize, bid: &Bid<Id>| {
        let least = u128::from(reserve_nc) * u128::from(bid.quality_bps);
        let pay = (position..sold).map(|below| {
            let displaced = ranked.get(below + 1).map_or(0, |next| score(next));
            (alpha(below) - alpha(below + 1)) * displaced.max(least)
        });
        div_ceil_wide(pay.sum(), alpha(position) * u128::from(bid.quality_bps))
    };
    sell(&ranked, sold, reserve_nc, price)
}

/// Generalised second price: each winner pays the next score. The mechanism does not use it; it is the comparison.
pub fn gsp<Id: Ord + Clone>(
    alpha_bps: &[u16],
    reserve_nc: u64,
    bids: &[Bid<Id>],
) -> Result<Vec<Slot<Id>>, AmountError> {
    let ranked = rank(alpha_bps, reserve_nc, bids)?;
    let sold = alpha_bps.len().min(ranked.len());
    let price = |position: usize, bid: &Bid<Id>| {
        div_ceil_wide(ranked.get(position + 1).map_or(0, |next| score(next)), u128::from(bid.quality_bps))
    };
    sell(&ranked, sold, reserve_nc, price)
}

fn score<Id>(bid: &Bid<Id>) -> u128 {
    u128::from(bid.bid_nc) * u128::from(bid.quality_bps)
}

/// The bids that reach the reserve, best first.
fn rank<'a, Id: Ord>(alpha_bps: &[u16], reserve_nc: u64, bids: &'a [Bid<Id>]) -> Result<Vec<&'a Bid<Id>>, AmountError> {
    require((1..=MAX_SLOTS).contains(&alpha_bps.len()) && bids.len() <= MAX_BIDS)?;
    require(alpha_bps.iter().all(|a| *a > 0 && u64::from(*a) <= BPS) && alpha_bps.is_sorted_by(|a, b| a >= b))?;
    require(bids.iter().all(|bid| QUALITY_BPS.contains(&bid.quality_bps)))?;
    let unique = bids.iter().enumerate().all(|(i, bid)| bids.iter().skip(i + 1).all(|other| other.id != bid.id));
    require(unique)?;
    // Inserted one by one: they are at most 16, and the standard library's sort needs more stack than a program has.
    let mut ranked: Vec<&Bid<Id>> = Vec::with_capacity(bids.len());
    for bid in bids.iter().filter(|bid| bid.bid_nc >= reserve_nc) {
        let key = (Reverse(score(bid)), &bid.id);
        let at = ranked.partition_point(|known| (Reverse(score(known)), &known.id) < key);
        ranked.insert(at, bid);
    }
    Ok(ranked)
}

fn sell<Id: Clone>(
    ranked: &[&Bid<Id>],
    sold: usize,
    reserve_nc: u64,
    price: impl Fn(usize, &Bid<Id>) -> Option<u64>,
) -> Result<Vec<Slot<Id>>, AmountError> {
    let winners = ranked.iter().take(sold).enumerate();
    winners
        .map(|(position, bid)| {
            let price_nc = price(position, bid).ok_or(AmountError::Overflow)?.max(reserve_nc);
            Ok(Slot { id: bid.id.clone(), price_nc })
        })
        .collect()
}
