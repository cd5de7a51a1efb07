//! A vendor says on what terms others may derive from its model. Links that exist keep the terms they were made on.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::LicenceChanged,
    seeds,
    state::{Artifact, Ask, Licence, MarketConfig, Role},
};

/// Arguments of `set_ceiling`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct SetCeilingArgs {
    /// Whether new links are allowed.
    pub open: bool,
    /// The most that the vendor's ask counts in a derivative that links from now on, nc per 1,000 BU; 0 = it derives
    /// free of charge.
    pub ceiling_nc: u64,
}

/// Accounts of `set_ceiling`.
#[derive(Accounts)]
pub struct SetCeiling<'info> {
    /// Owner of the model.
    pub vendor: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The artifact.
    #[account(mut, has_one = vendor @ MarketError::Unauthorized)]
    pub artifact: Box<Account<'info, Artifact>>,
    /// The vendor's ask for it: royalty tables of derivatives read it, so it must exist before the first of them.
    #[account(
        constraint = ask.subject == artifact.hash && ask.role == Role::Vendor @ MarketError::WrongAccount,
    )]
    pub ask: Box<Account<'info, Ask>>,
}

impl SetCeiling<'_> {
    /// Vendor, configuration, artifact and ask are checked by attributes.
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::BIDS)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SetCeiling>, args: SetCeilingArgs) -> Result<()> {
    let account = ctx.accounts.artifact.key();
    let artifact = &mut ctx.accounts.artifact;
    let new = Licence { open: args.open, ceiling_nc: args.ceiling_nc };
    let old = std::mem::replace(&mut artifact.derivation, new);
    let seq = artifact.next_seq()?;
    artifact.invariant()?;
    emit!(LicenceChanged { account, seq, hash: artifact.hash, old, new });
    Ok(())
}
