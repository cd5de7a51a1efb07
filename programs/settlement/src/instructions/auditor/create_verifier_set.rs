//! Creates the set of verifiers of a registered determinism class. Anyone pays.

use anchor_lang::prelude::*;
use market::state::DetClass;

use crate::{
    constants::VERSION,
    error::SettleError,
    events::VerifierSetCreated,
    seeds,
    state::{SettleConfig, VerifierSet},
};

#[derive(Accounts)]
#[instruction(det_class: u16)]
pub struct CreateVerifierSet<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub class: Box<Account<'info, DetClass>>,
    #[account(
        init,
        payer = payer,
        space = VerifierSet::SPACE,
        seeds = [seeds::VERIFIER_SET, &det_class.to_le_bytes()],
        bump
    )]
    pub set: Box<Account<'info, VerifierSet>>,
    pub system_program: Program<'info, System>,
}

impl CreateVerifierSet<'_> {
    /// `class` is the registered one and enabled; `payer` pays for `set`, new at the address of its class.
    fn validate(&self, det_class: u16) -> Result<()> {
        self.config.require_running(coin::authority::pause::REGISTRATION)?;
        require!(self.class.id == det_class, SettleError::AccountMismatch);
        require!(self.class.enabled, SettleError::ClassDisabled);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(det_class))]
pub(crate) fn handler(ctx: Context<CreateVerifierSet>, det_class: u16) -> Result<()> {
    let bump = ctx.bumps.set;
    let accounts = ctx.accounts;
    accounts.set.set_inner(VerifierSet {
        version: VERSION,
        bump,
        det_class,
        seated: 0,
        seq: 0,
        rent_payer: accounts.payer.key(),
        _reserved: [0; 64],
    });
    let seq = accounts.set.next_seq()?;
    accounts.set.invariant()?;
    emit!(VerifierSetCreated { set: accounts.set.key(), det_class, seq });
    Ok(())
}
