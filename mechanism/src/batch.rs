//! What a batch takes from its gateway's vault and what each of its lines is worth. Vaults carry nc and AIC together,
//! so a change of rate between settlement and claim cannot break conservation.

use crate::amount::{AmountError, mul_div_ceil, mul_div_floor, require};

/// AIC a batch of `lines_sum_nc` takes from a vault of (`vault_nc`, `vault_aic`), rounded up; never above `vault_aic`.
pub fn batch_take(vault_nc: u64, vault_aic: u64, lines_sum_nc: u64) -> Result<u64, AmountError> {
    require(vault_nc > 0 && lines_sum_nc <= vault_nc)?;
    mul_div_ceil(lines_sum_nc, vault_aic, vault_nc).ok_or(AmountError::Overflow)
}

/// AIC of one line of a batch, rounded down; over all lines at most `batch_aic`, and less than one unit per line below it.
pub fn claim_amount(lines_sum_nc: u64, batch_aic: u64, line_nc: u64) -> Result<u64, AmountError> {
    require(lines_sum_nc > 0 && line_nc <= lines_sum_nc)?;
    mul_div_floor(line_nc, batch_aic, lines_sum_nc).ok_or(AmountError::Overflow)
}
