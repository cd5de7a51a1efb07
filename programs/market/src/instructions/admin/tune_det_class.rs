//! Changes how outputs of a determinism class are compared, or takes the class out of new audits. Verdicts that were
//! given before stay.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::DetClassTuned,
    seeds,
    state::{DetClass, DetRule, MarketConfig},
};

/// Arguments of `tune_det_class`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct TuneDetClassArgs {
    /// How outputs are compared from now on.
    pub rule: DetRule,
}

/// Accounts of `tune_det_class`.
#[derive(Accounts)]
pub struct TuneDetClass<'info> {
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
    #[account(mut, seeds = [seeds::DET_CLASS, &det_class.id.to_le_bytes()], bump = det_class.bump)]
    pub det_class: Box<Account<'info, DetClass>>,
}

pub(crate) fn handler(ctx: Context<TuneDetClass>, args: TuneDetClassArgs) -> Result<()> {
    let account = ctx.accounts.det_class.key();
    let class = &mut ctx.accounts.det_class;
    let old = class.rule();
    class.tune(args.rule)?;
    let seq = class.next_seq()?;
    class.invariant()?;
    emit!(DetClassTuned { account, seq, actor: ctx.accounts.authority.key(), id: class.id, old, new: args.rule });
    Ok(())
}
