//! Replaces the reporters of the rate. What was submitted before is void.

use anchor_lang::prelude::*;

use crate::{
    error::CoinError,
    events::ReportersChanged,
    seeds,
    state::{CoinConfig, Rate},
};

/// Arguments of `set_reporters`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct SetReportersArgs {
    /// One to five distinct keys.
    pub reporters: Vec<Pubkey>,
}

/// Accounts of `set_reporters`.
#[derive(Accounts)]
pub struct SetReporters<'info> {
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ CoinError::Unauthorized,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The rate.
    #[account(mut, seeds = [seeds::RATE], bump = rate.bump)]
    pub rate: Box<Account<'info, Rate>>,
}

pub(crate) fn handler(ctx: Context<SetReporters>, args: SetReportersArgs) -> Result<()> {
    let account = ctx.accounts.rate.key();
    let actor = ctx.accounts.admin.key();
    let rate = &mut ctx.accounts.rate;
    let old = rate.reporters.iter().take(usize::from(rate.n_reporters)).copied().collect();
    rate.set_reporters(&args.reporters)?;
    let seq = rate.next_seq()?;
    rate.invariant()?;
    emit!(ReportersChanged { account, seq, actor, old, new: args.reporters });
    Ok(())
}
