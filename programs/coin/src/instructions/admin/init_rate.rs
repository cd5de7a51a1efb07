//! Creates the rate with its first value and its reporters.

use anchor_lang::prelude::*;

use crate::{
    clock::epoch,
    constants::{EPOCH_MAX_S, EPOCH_MIN_S, MAX_REPORTERS, RATE_MAX, RATE_MIN},
    error::CoinError,
    events::RateInitialised,
    seeds,
    state::{CoinConfig, Rate, Submission},
};

/// Arguments of `init_rate`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct InitRateArgs {
    /// AIC base units per USD.
    pub rate: u64,
    /// Length of a rate epoch in seconds.
    pub epoch_s: u32,
    /// One to five distinct keys.
    pub reporters: Vec<Pubkey>,
}

/// Accounts of `init_rate`.
#[derive(Accounts)]
pub struct InitRate<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
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
    #[account(init, payer = payer, space = 8 + Rate::INIT_SPACE, seeds = [seeds::RATE], bump)]
    pub rate: Box<Account<'info, Rate>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl InitRate<'_> {
    /// Admin and configuration are checked by attributes, the rate is created here.
    pub(crate) fn validate(&self, args: &InitRateArgs) -> Result<()> {
        require!((RATE_MIN..=RATE_MAX).contains(&args.rate), CoinError::RateOutOfBounds);
        require!((EPOCH_MIN_S..=EPOCH_MAX_S).contains(&args.epoch_s), CoinError::EpochOutOfBounds);
        require!(Rate::good_reporters(&args.reporters), CoinError::BadReporters);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<InitRate>, args: InitRateArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let epoch = epoch(now, args.epoch_s).ok_or(CoinError::ClockWentBack)?;
    let mut reporters = [Pubkey::default(); MAX_REPORTERS];
    for (slot, key) in reporters.iter_mut().zip(&args.reporters) {
        *slot = *key;
    }
    let account = ctx.accounts.rate.key();
    let rate = &mut ctx.accounts.rate;
    rate.set_inner(Rate {
        version: Rate::VERSION,
        bump: ctx.bumps.rate,
        rate: args.rate,
        epoch,
        epoch_s: args.epoch_s,
        reporters,
        n_reporters: u8::try_from(args.reporters.len()).map_err(|_| CoinError::BadReporters)?,
        submissions: [Submission::default(); MAX_REPORTERS],
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        _reserved: [0; 128],
    });
    let seq = rate.next_seq()?;
    rate.invariant()?;
    emit!(RateInitialised { account, seq, rate: args.rate, epoch });
    Ok(())
}
