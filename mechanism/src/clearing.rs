//! Compute markets: smoothed demand, the clearing tick of a book of capacities, and the base price's bounded step.
//! Ticks and prices are nc per 1 000 BU; capacity and demand are BU per pricing epoch.

use alloc::vec::Vec;

use crate::amount::{AmountError, BPS, bps_floor, div_ceil_wide, require, require_bps};

/// Most ticks of a book.
pub const MAX_TICKS: usize = 64;

/// Where a book clears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clearing {
    /// The marginal tick.
    pub index: usize,
    /// Its price.
    pub price_nc: u64,
}

/// A book's tick prices: `tick[k+1] = tick[k] + max(1, floor(tick[k]·ratio/10⁴))` from `p0`.
pub fn ticks(p0: u64, n: usize, ratio_bps: u16) -> Result<Vec<u64>, AmountError> {
    require(n <= MAX_TICKS)?;
    let mut ticks = Vec::with_capacity(n);
    for_each_tick(p0, n, ratio_bps, |_, tick| ticks.push(tick))?;
    Ok(ticks)
}

/// Calls `visit` with each tick's index and price, without allocating.
fn for_each_tick(p0: u64, n: usize, ratio_bps: u16, mut visit: impl FnMut(usize, u64)) -> Result<(), AmountError> {
    require_bps(&[ratio_bps])?;
    require(p0 > 0 && n > 0 && n <= MAX_TICKS)?;
    let mut tick = p0;
    visit(0, tick);
    for index in 1..n {
        tick = tick.checked_add(bps_floor(tick, ratio_bps).max(1)).ok_or(AmountError::Overflow)?;
        visit(index, tick);
    }
    Ok(())
}

/// Exponential moving average: `old` moved towards `observed` by `floor(|difference|·alpha/10⁴)`.
pub fn ema(old: u64, observed: u64, alpha_bps: u16) -> Result<u64, AmountError> {
    require_bps(&[alpha_bps])?;
    let step = bps_floor(old.abs_diff(observed), alpha_bps);
    // The step is at most the difference.
    Ok(if observed >= old { old + step } else { old - step })
}

/// Demand plus headroom: `ceil(demand·(1 + headroom/10⁴))`.
fn quantity(demand: u64, headroom_bps: u16) -> Result<u128, AmountError> {
    require_bps(&[headroom_bps])?;
    let needed = u128::from(demand) * u128::from(BPS + u64::from(headroom_bps));
    Ok(match div_ceil_wide(needed, u128::from(BPS)) {
        Some(quantity) => u128::from(quantity),
        None => needed.div_ceil(u128::from(BPS)),
    })
}

/// Where the price of a book with too few owners is drawn: `B·(1 + ⅛·(u-u*)/u*)`, u = demand/capacity and
/// u* = 1/(1 + headroom), the move rounded towards `base_nc`. `None` without capacity, which is scarcity.
pub fn thin_marginal(
    base_nc: u64,
    capacity: &[u64],
    demand: u64,
    headroom_bps: u16,
) -> Result<Option<u64>, AmountError> {
    let quantity = quantity(demand, headroom_bps)?;
    let supply: u128 = capacity.iter().copied().map(u128::from).sum();
    if supply == 0 {
        return Ok(None);
    }
    // u/u* is quantity/supply. Beyond 2⁵⁶ the low bits are dropped from both, so that the product stays in 128 bits.
    let drop = if supply.max(quantity) >> 56 == 0 { 0 } else { 16 };
    let (quantity, supply) = (quantity >> drop, (supply >> drop).max(1));
    let step = u128::from(base_nc) * quantity.abs_diff(supply) / (8 * supply);
    let step = u64::try_from(step).unwrap_or(u64::MAX);
    Ok(Some(if quantity >= supply { base_nc.saturating_add(step) } else { base_nc.saturating_sub(step) }))
}

/// The lowest tick whose cumulative capacity exceeds demand plus headroom; `None` is scarcity.
pub fn clear(
    p0: u64,
    ratio_bps: u16,
    capacity: &[u64],
    demand: u64,
    headroom_bps: u16,
) -> Result<Option<Clearing>, AmountError> {
    let quantity = quantity(demand, headroom_bps)?;
    // The tick where it clears is found first: the loop over the prices, all of which must fit, then only notes one.
    let mut supply = 0u128;
    let index = capacity.iter().position(|cap| {
        supply += u128::from(*cap);
        supply > quantity
    });
    let mut marginal = None;
    for_each_tick(p0, capacity.len(), ratio_bps, |tick, price_nc| {
        if Some(tick) == index {
            marginal = Some(Clearing { index: tick, price_nc });
        }
    })?;
    Ok(marginal)
}

/// The next base price: towards the marginal tick (up when scarce), within the step limits, then within
/// `[floor, reserve]`.
pub fn next_base(
    base_nc: u64,
    marginal_nc: Option<u64>,
    floor_nc: u64,
    reserve_nc: u64,
    up_bps: u16,
    down_bps: u16,
) -> Result<u64, AmountError> {
    require_bps(&[up_bps, down_bps])?;
    require(floor_nc <= reserve_nc)?;
    // Saturation is exact here: the result is at most `reserve_nc`.
    let high = base_nc.saturating_add(bps_floor(base_nc, up_bps).max(1));
    let low = if base_nc > 1 { base_nc - bps_floor(base_nc, down_bps).max(1) } else { base_nc };
    let wanted = marginal_nc.map_or(high, |marginal| marginal.max(low).min(high));
    Ok(wanted.min(reserve_nc).max(floor_nc))
}
