//! The bounded step of an ask from one pricing epoch to the next.

use crate::amount::{AmountError, bps_floor, require_bps};

/// `ask_nc` moved towards `want_nc` by at most the step limits (but at least 1 nc), never above `ceiling_nc`.
/// Units: nc per 1 000 BU. An ask of 0 is legal.
pub fn step_ask(ask_nc: u64, want_nc: u64, up_bps: u16, down_bps: u16, ceiling_nc: u64) -> Result<u64, AmountError> {
    require_bps(&[up_bps, down_bps])?;
    // Saturation is exact here: the result is at most `want_nc` whenever the upper limit would exceed u64.
    let high = ask_nc.saturating_add(bps_floor(ask_nc, up_bps).max(1));
    let low = if ask_nc > 0 { ask_nc - bps_floor(ask_nc, down_bps).max(1) } else { 0 };
    Ok(want_nc.max(low).min(high).min(ceiling_nc))
}
