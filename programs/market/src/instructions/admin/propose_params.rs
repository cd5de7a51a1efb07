//! Proposes parameters. Everyone sees them at least two settlement epochs before they apply.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::ParamsProposed,
    seeds,
    state::{MarketConfig, PendingParams, Tunables},
};

/// Arguments of `propose_params`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ProposeParamsArgs {
    /// What would apply.
    pub tunables: Tunables,
    /// The settlement epoch from which it may apply, at least two after the current one.
    pub effective_epoch: u32,
}

/// Accounts of `propose_params`.
#[derive(Accounts)]
pub struct ProposeParams<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The params authority.
    pub authority: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        constraint = config.authorities.params == authority.key() @ MarketError::Unauthorized,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The proposal; another one replaces it.
    #[account(
        init_if_needed,
        payer = payer,
        space = 8 + PendingParams::INIT_SPACE,
        seeds = [seeds::PENDING, seeds::PARAMS],
        bump,
    )]
    pub pending: Box<Account<'info, PendingParams>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl ProposeParams<'_> {
    /// The authority is checked by attributes; the proposal has one address.
    pub(crate) fn validate(&self, args: &ProposeParamsArgs) -> Result<()> {
        PendingParams::validate(&args.tunables, args.effective_epoch, &self.config, Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<ProposeParams>, args: ProposeParamsArgs) -> Result<()> {
    let ProposeParamsArgs { tunables, effective_epoch } = args;
    let pending = &mut ctx.accounts.pending;
    // Who pays for a replacement pays nothing: the rent stays the first payer's.
    let rent_payer = if pending.version == 0 { ctx.accounts.payer.key() } else { pending.rent_payer };
    pending.set_inner(PendingParams {
        version: PendingParams::VERSION,
        bump: ctx.bumps.pending,
        effective_epoch,
        tunables: tunables.clone(),
        rent_payer,
        _reserved: [0; 64],
    });
    pending.invariant()?;
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    let seq = config.next_seq()?;
    let event = ParamsProposed {
        account,
        seq,
        actor: ctx.accounts.authority.key(),
        effective_epoch,
        old: config.tunables(),
        new: tunables,
    };
    emit!(event);
    Ok(())
}
