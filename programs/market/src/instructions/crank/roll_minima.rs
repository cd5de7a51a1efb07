//! Converts the minimum stakes that are given in USD into AIC at the rate of the coin, once per pricing epoch.

use anchor_lang::prelude::*;
use coin::{authority::pause, state::Rate};

use crate::{error::MarketError, events::MinimaConverted, state::MarketConfig};

/// Accounts of `roll_minima`.
#[derive(Accounts)]
pub struct RollMinima<'info> {
    /// The configuration.
    #[account(mut)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The rate of the coin program, of which there is one.
    pub rate: Box<Account<'info, Rate>>,
}

impl RollMinima<'_> {
    /// Configuration and rate exist once each, in this program and in the coin program.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::BIDS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<RollMinima>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let rate = ctx.accounts.rate.current(now).map_err(|_| MarketError::StaleRate)?;
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    config.convert_minima(rate, now)?;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(MinimaConverted { account, seq, rate, min_stake: config.params.min_stake });
    Ok(())
}
