//! A reporter says what one USD is worth in the current rate epoch.

use anchor_lang::prelude::*;

use crate::{
    authority::pause,
    events::RateSubmitted,
    seeds,
    state::{CoinConfig, Rate},
};

/// Arguments of `submit_rate`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SubmitRateArgs {
    /// AIC base units per USD.
    pub rate: u64,
}

/// Accounts of `submit_rate`.
#[derive(Accounts)]
pub struct SubmitRate<'info> {
    /// One of the reporters.
    pub reporter: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The rate.
    #[account(mut, seeds = [seeds::RATE], bump = rate.bump)]
    pub rate: Box<Account<'info, Rate>>,
}

impl SubmitRate<'_> {
    /// Configuration and rate are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::RATE)?;
        self.rate.reporter(self.reporter.key)?;
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SubmitRate>, args: SubmitRateArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let account = ctx.accounts.rate.key();
    let actor = ctx.accounts.reporter.key();
    let rate = &mut ctx.accounts.rate;
    let reporter = rate.reporter(&actor)?;
    rate.submit(reporter, args.rate, now)?;
    let epoch = rate.epoch_at(now)?;
    let seq = rate.next_seq()?;
    rate.invariant()?;
    emit!(RateSubmitted { account, seq, actor, epoch, rate: args.rate });
    Ok(())
}
