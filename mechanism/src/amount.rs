//! Integer arithmetic with named rounding. Every function is total: an impossible result is `None`, never a panic.
//! The products are exact; 128-bit division is taken only when nothing smaller suffices, because it is the most
//! expensive arithmetic there is on chain.

/// Basis points in one whole.
pub const BPS: u64 = 10_000;
/// Nano-credits (nc) in one US dollar; a rate is AIC base units per this many nc.
pub const NC_PER_USD: u64 = 1_000_000_000;
/// Settlement epochs in one pricing epoch.
pub const EPOCHS_PER_PRICING_EPOCH: u32 = 24;

/// The pricing epoch that contains a settlement epoch.
pub const fn pricing_epoch(epoch: u32) -> u32 {
    epoch / EPOCHS_PER_PRICING_EPOCH
}

/// `floor(a·b / c)`; `None` when `c` is zero or the quotient exceeds u64.
pub fn mul_div_floor(a: u64, b: u64, c: u64) -> Option<u64> {
    mul_div(a, b, c).map(|(quotient, _)| quotient)
}

/// `ceil(a·b / c)`; `None` when `c` is zero or the quotient exceeds u64.
pub fn mul_div_ceil(a: u64, b: u64, c: u64) -> Option<u64> {
    let (quotient, exact) = mul_div(a, b, c)?;
    if exact { Some(quotient) } else { quotient.checked_add(1) }
}

/// `floor(a·b / c)` and whether the division left no remainder.
fn mul_div(a: u64, b: u64, c: u64) -> Option<(u64, bool)> {
    if c == 0 {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some((product / c, product % c == 0));
    }
    // With a = qa·c + ra and b = qb·c + rb, the quotient is exactly qa·b + ra·qb + floor(ra·rb / c).
    let (qa, ra) = (a / c, a % c);
    let (qb, rb) = (b / c, b % c);
    let whole = qa.checked_mul(b)?.checked_add(ra.checked_mul(qb)?)?;
    let (rest, exact) = match ra.checked_mul(rb) {
        Some(product) => (product / c, product % c == 0),
        None => {
            let product = u128::from(ra) * u128::from(rb);
            let quotient = product / u128::from(c);
            (u64::try_from(quotient).ok()?, quotient * u128::from(c) == product)
        }
    };
    Some((whole.checked_add(rest)?, exact))
}

/// `ceil(n / d)` in 128 bits, with a 64-bit path for the usual case; `None` when `d` is zero or the quotient exceeds u64.
pub(crate) fn div_ceil_wide(n: u128, d: u128) -> Option<u64> {
    if let (Ok(n), Ok(d)) = (u64::try_from(n), u64::try_from(d)) {
        return (d != 0).then(|| n.div_ceil(d));
    }
    let quotient = n.checked_div(d)?;
    // The product is at most n, so it cannot overflow.
    let up = u128::from(quotient * d != n);
    u64::try_from(quotient.checked_add(up)?).ok()
}

/// `floor(x·bps / 10 000)`, in 64-bit arithmetic; saturates for a `bps` above one whole.
pub fn bps_floor(x: u64, bps: u16) -> u64 {
    let bps = u64::from(bps);
    // With x = q·10⁴ + r, the quotient is exactly q·bps + floor(r·bps / 10⁴), and r·bps is below 10⁴·2¹⁶.
    (x / BPS).saturating_mul(bps).saturating_add(x % BPS * bps / BPS)
}

/// The price of `units` BU at `nc_per_1k` nano-credits per thousand: `ceil(units·nc_per_1k / 1000)` nc.
pub fn price_nc(units: u64, nc_per_1k: u64) -> Option<u64> {
    mul_div_ceil(units, nc_per_1k, 1_000)
}

/// AIC base units a debit of `nc` costs at `rate`, rounded up.
pub fn debit_aic(nc: u64, rate: u64) -> Option<u64> {
    mul_div_ceil(nc, rate, NC_PER_USD)
}

/// AIC base units a credit of `nc` brings at `rate`, rounded down.
pub fn credit_aic(nc: u64, rate: u64) -> Option<u64> {
    mul_div_floor(nc, rate, NC_PER_USD)
}

/// The most nc that `balance_aic` pays for at `rate` (> 0), capped at u64; debiting it never exceeds the balance.
/// `None` when `rate` is zero.
pub fn affordable_nc(balance_aic: u64, rate: u64) -> Option<u64> {
    if rate == 0 {
        return None;
    }
    Some(mul_div_floor(balance_aic, NC_PER_USD, rate).unwrap_or(u64::MAX))
}

/// Why an amount cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// An input violates a stated condition.
    #[error("input violates a condition of the mechanism")]
    BadInput,
    /// A result exceeds u64.
    #[error("result exceeds u64")]
    Overflow,
}

/// `Ok` when the condition on the inputs holds.
pub(crate) fn require(condition: bool) -> Result<(), AmountError> {
    if condition { Ok(()) } else { Err(AmountError::BadInput) }
}

/// `Ok` when every share is at most one whole.
pub(crate) fn require_bps(shares: &[u16]) -> Result<(), AmountError> {
    require(shares.iter().all(|&share| u64::from(share) <= BPS))
}
