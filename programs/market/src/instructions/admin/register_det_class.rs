//! Registers a determinism class: a kind of machine whose outputs can be compared.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::DetClassRegistered,
    seeds,
    state::{DetClass, DetRule, MarketConfig},
};

/// Arguments of `register_det_class`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RegisterDetClassArgs {
    /// The number that nodes and receipts name.
    pub id: u16,
    /// `sha(runtime version ‖ EP ‖ opt level ‖ ISA class ‖ quant scheme ‖ batch=1)`; never changes.
    pub hash: [u8; 32],
    /// How outputs are compared.
    pub rule: DetRule,
}

/// Accounts of `register_det_class`.
#[derive(Accounts)]
#[instruction(args: RegisterDetClassArgs)]
pub struct RegisterDetClass<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The params authority.
    pub authority: Signer<'info>,
    /// The configuration.
    #[account(
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.params == authority.key() @ MarketError::Unauthorized,
    )]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The class.
    #[account(
        init,
        payer = payer,
        space = 8 + DetClass::INIT_SPACE,
        seeds = [seeds::DET_CLASS, &args.id.to_le_bytes()],
        bump,
    )]
    pub det_class: Box<Account<'info, DetClass>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RegisterDetClass<'_> {
    /// Authority and configuration are checked by attributes, the class is created here.
    pub(crate) fn validate(&self, args: &RegisterDetClassArgs) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)?;
        require!(args.hash != [0; 32], MarketError::ParamOutOfBounds);
        args.rule.validate()
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<RegisterDetClass>, args: RegisterDetClassArgs) -> Result<()> {
    let account = ctx.accounts.det_class.key();
    let RegisterDetClassArgs { id, hash, rule } = args;
    let class = &mut ctx.accounts.det_class;
    class.set_inner(DetClass {
        version: DetClass::VERSION,
        bump: ctx.bumps.det_class,
        id,
        hash,
        kind: rule.kind,
        tol_ppm: rule.tol_ppm,
        tau_ppm: rule.tau_ppm,
        mu_ppm: rule.mu_ppm,
        enabled: rule.enabled,
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        _reserved: [0; 64],
    });
    let seq = class.next_seq()?;
    class.invariant()?;
    emit!(DetClassRegistered { account, seq, actor: ctx.accounts.authority.key(), id, hash, rule });
    Ok(())
}
