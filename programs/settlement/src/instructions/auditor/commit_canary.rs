//! Commits to a planted receipt before its batch is drawn; signed by the params authority.

use anchor_lang::prelude::*;

use crate::{
    constants::VERSION,
    error::SettleError,
    seeds,
    state::{Canary, SettleConfig},
};

#[derive(Accounts)]
#[instruction(commitment: [u8; 32])]
pub struct CommitCanary<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub authority: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        init,
        payer = payer,
        space = 8 + Canary::INIT_SPACE,
        seeds = [seeds::CANARY, &commitment],
        bump
    )]
    pub canary: Box<Account<'info, Canary>>,
    pub system_program: Program<'info, System>,
}

impl CommitCanary<'_> {
    /// `authority` holds the parameters; `payer` pays for `canary`, new at the address of its commitment.
    fn validate(&self) -> Result<()> {
        require_keys_eq!(self.authority.key(), self.config.authorities.params, SettleError::Unauthorized);
        Ok(())
    }
}

/// `commitment` is [`waybill_mechanism::audit::canary_commitment`].
#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CommitCanary>, commitment: [u8; 32]) -> Result<()> {
    let slot = Clock::get()?.slot;
    let rent_payer = ctx.accounts.payer.key();
    ctx.accounts.canary.set_inner(Canary {
        version: VERSION,
        bump: ctx.bumps.canary,
        commitment,
        slot,
        rent_payer,
        _reserved: [0; 32],
    });
    Ok(())
}
