//! PRISM's price stack and split: from a stage's base cost and the asks of vendor, OEM and weaver to its price, its
//! six shares and the parts of a payment. Shares are in the order vendor, OEM, infrastructure (provider), curator,
//! weaver, fee; asks in the order vendor, OEM, weaver.

use crate::amount::{AmountError, BPS, bps_floor, div_ceil_wide, mul_div_ceil, mul_div_floor, require, require_bps};

/// Position of the vendor's share.
pub const VENDOR: usize = 0;
/// Position of the OEM's share.
pub const OEM: usize = 1;
/// Position of the provider's share: it takes every rounding remainder.
pub const INFRA: usize = 2;
/// Position of the curator's share.
pub const CURATOR: usize = 3;
/// Position of the weaver's share.
pub const WEAVER: usize = 4;
/// Position of the protocol fee.
pub const FEE: usize = 5;

/// The inputs of one stage's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackInput {
    /// Base cost C in nc per 1 000 BU, see [`base_cost`]; > 0.
    pub base_nc: u64,
    /// Asks of vendor, OEM and weaver, nc per 1 000 BU.
    pub asks_nc: [u64; 3],
    /// Curator share β.
    pub beta_bps: u16,
    /// Protocol fee φ.
    pub phi_bps: u16,
    /// Caps κ of vendor, OEM and weaver; β + φ + Σκ < 10 000.
    pub caps_bps: [u16; 3],
}

/// A stage's price and what each asking role effectively gets of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceStack {
    /// nc per 1 000 BU.
    pub price_nc: u64,
    /// Effective asks of vendor, OEM and weaver, nc per 1 000 BU; a capped role's stored ask is overwritten with it.
    pub effective_nc: [u64; 3],
    /// Which of them hit their cap.
    pub capped: [bool; 3],
}

/// `ceil(weight·base / 10 000)`: a stage's base cost C from its market's base price, nc per 1 000 BU.
pub fn base_cost(base_nc: u64, weight_bps: u16) -> Option<u64> {
    mul_div_ceil(base_nc, u64::from(weight_bps), BPS)
}

/// The unique fixed point of `P·(1-β-φ) = C + Σ min(ask, κ·P)`, rounded up.
pub fn price_stack(input: &StackInput) -> Result<PriceStack, AmountError> {
    let StackInput { base_nc, asks_nc, beta_bps, phi_bps, caps_bps } = *input;
    require_bps(&[beta_bps, phi_bps])?;
    require_bps(&caps_bps)?;
    require(base_nc > 0)?;
    let taken = u32::from(beta_bps) + u32::from(phi_bps) + caps_bps.iter().copied().map(u32::from).sum::<u32>();
    require(u64::from(taken) < BPS)?;

    let mut capped = [false; 3];
    let price = loop {
        let mut cost = u128::from(base_nc);
        let mut share = BPS - u64::from(beta_bps) - u64::from(phi_bps);
        for ((ask, cap), capped) in asks_nc.iter().zip(caps_bps).zip(capped) {
            if capped {
                share -= u64::from(cap);
            } else {
                cost += u128::from(*ask);
            }
        }
        // Early rounds may exceed 64 bits before the caps bite; only the final price must fit.
        let numerator = cost * u128::from(BPS);
        let price = match div_ceil_wide(numerator, u128::from(share)) {
            Some(price) => u128::from(price),
            None => numerator.div_ceil(u128::from(share)),
        };
        let mut grew = false;
        for ((ask, cap), capped) in asks_nc.iter().zip(caps_bps).zip(&mut capped) {
            if !*capped && u128::from(*ask) * u128::from(BPS) > u128::from(cap) * price {
                *capped = true;
                grew = true;
            }
        }
        if !grew {
            break u64::try_from(price).map_err(|_| AmountError::Overflow)?;
        }
    };

    let mut effective_nc = asks_nc;
    for ((effective, cap), capped) in effective_nc.iter_mut().zip(caps_bps).zip(capped) {
        if capped {
            *effective = bps_floor(price, cap);
        }
    }
    Ok(PriceStack { price_nc: price, effective_nc, capped })
}

/// The six shares of a price; they sum to exactly 10 000.
pub fn split_bps(price_nc: u64, effective_nc: [u64; 3], beta_bps: u16, phi_bps: u16) -> Result<[u16; 6], AmountError> {
    require_bps(&[beta_bps, phi_bps])?;
    require(price_nc > 0)?;
    let [mut vendor, mut oem, mut weaver] = [0u16; 3];
    for (share, effective) in [&mut vendor, &mut oem, &mut weaver].into_iter().zip(effective_nc) {
        let bps = mul_div_floor(effective, BPS, price_nc).filter(|bps| *bps <= BPS).ok_or(AmountError::BadInput)?;
        *share = u16::try_from(bps).map_err(|_| AmountError::BadInput)?;
    }
    let others = [vendor, oem, weaver, beta_bps, phi_bps].into_iter().map(u64::from).sum();
    let infra = BPS.checked_sub(others).and_then(|rest| u16::try_from(rest).ok()).ok_or(AmountError::BadInput)?;
    Ok([vendor, oem, infra, beta_bps, weaver, phi_bps])
}

/// Whether six shares are one whole.
pub fn is_whole(bps: &[u16; 6]) -> bool {
    bps.iter().copied().map(u64::from).sum::<u64>() == BPS
}

/// The parts of `amount` by shares: floors, the remainder to the provider. The parts sum to `amount` whatever the
/// shares; they are the shares' parts when [`is_whole`] holds.
pub fn split_amount(amount: u64, bps: &[u16; 6]) -> [u64; 6] {
    let mut parts = [0; 6];
    let mut rest = amount;
    for (role, (part, share)) in parts.iter_mut().zip(bps).enumerate() {
        if role != INFRA {
            *part = bps_floor(amount, *share).min(rest);
            rest -= *part;
        }
    }
    parts[INFRA] = rest;
    parts
}

/// The fee by its own shares of the gross (audit, gateway, burn, treasury: 120, 60, 60, 60): floors, the remainder to
/// the treasury. `None` when all shares are zero.
pub fn split_fee(fee: u64, shares_bps: &[u16; 4]) -> Option<[u64; 4]> {
    let total = shares_bps.iter().copied().map(u64::from).sum();
    let [audit, gateway, burn, _] = shares_bps.map(|share| mul_div_floor(fee, u64::from(share), total));
    let (audit, gateway, burn) = (audit?, gateway?, burn?);
    let treasury = fee.checked_sub(audit)?.checked_sub(gateway)?.checked_sub(burn)?;
    Some([audit, gateway, burn, treasury])
}

/// The weaver's ask for stage `stage` of a container: pro rata to the stages' base costs, floors, the remainder to the
/// last stage. `None` when there is no such stage or every cost is zero.
pub fn weaver_ask(ask_nc: u64, base_costs_nc: &[u64], stage: usize) -> Option<u64> {
    let total: u128 = base_costs_nc.iter().copied().map(u128::from).sum();
    let part = |cost: &u64| match u64::try_from(total) {
        Ok(total) => mul_div_floor(ask_nc, *cost, total),
        Err(_) => {
            let part = (u128::from(ask_nc) * u128::from(*cost)).checked_div(total)?;
            u64::try_from(part).ok()
        }
    };
    let (_, before_last) = base_costs_nc.split_last()?;
    match before_last.get(stage) {
        Some(cost) => part(cost),
        None if stage == before_last.len() && total > 0 => {
            before_last.iter().try_fold(ask_nc, |rest, cost| rest.checked_sub(part(cost)?))
        }
        None => None,
    }
}
