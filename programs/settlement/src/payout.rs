//! The one way out of the pool for earnings.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    events::EarningsWithdrawn,
    seeds,
    state::{Earnings, SettleConfig},
    token,
};

/// Pays `amount_aic` of `earnings`, or everything for `None`, and returns the event to report.
pub fn pay<'info>(
    config: &SettleConfig,
    earnings: &mut Account<'info, Earnings>,
    pool: &Account<'info, TokenAccount>,
    destination: &Account<'info, TokenAccount>,
    token_program: &Program<'info, Token>,
    amount_aic: Option<u64>,
    swept: bool,
) -> Result<EarningsWithdrawn> {
    let amount_aic = earnings.debit(amount_aic)?;
    let seq = earnings.next_seq()?;
    earnings.invariant()?;
    let seeds: [&[u8]; 3] = [seeds::POOL, config.mint.as_ref(), &[config.pool_bump]];
    token::transfer(token_program, pool, destination, pool.to_account_info(), &seeds, amount_aic)?;
    Ok(EarningsWithdrawn {
        earnings: earnings.key(),
        owner: earnings.owner,
        destination: destination.key(),
        swept,
        amount_aic,
        remaining_aic: earnings.amount_aic,
        seq,
    })
}
