//! Fixes the rate of the current epoch from what the reporters submitted in it.

use anchor_lang::prelude::*;

use crate::{
    authority::pause,
    events::RateRolled,
    seeds,
    state::{CoinConfig, Rate},
};

/// Accounts of `roll_rate`. Nobody signs it.
#[derive(Accounts)]
pub struct RollRate<'info> {
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The rate.
    #[account(mut, seeds = [seeds::RATE], bump = rate.bump)]
    pub rate: Box<Account<'info, Rate>>,
}

impl RollRate<'_> {
    /// Configuration and rate are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::RATE)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RollRate>) -> Result<()> {
    let account = ctx.accounts.rate.key();
    let rate = &mut ctx.accounts.rate;
    let (old, new) = rate.roll(Clock::get()?.unix_timestamp)?;
    let epoch = rate.epoch;
    let seq = rate.next_seq()?;
    rate.invariant()?;
    emit!(RateRolled { account, seq, epoch, old, new });
    Ok(())
}
