//! A vendor declares that its model derives from another: from the next royalty table on, the vendors of the lineage
//! share what is paid for the model.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::LicenceLinked,
    seeds,
    state::{Artifact, MarketConfig},
};

/// Arguments of `link_license`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct LinkLicenseArgs {
    /// The highest ceiling the vendor accepts, nc per 1,000 BU: the parent may change its terms until the moment of the
    /// link.
    pub max_ceiling_nc: u64,
}

/// Accounts of `link_license`.
#[derive(Accounts)]
pub struct LinkLicense<'info> {
    /// Owner of the derivative.
    pub vendor: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The derivative.
    #[account(mut, has_one = vendor @ MarketError::Unauthorized)]
    pub derivative: Box<Account<'info, Artifact>>,
    /// What it derives from.
    #[account(mut, constraint = parent.hash != derivative.hash @ MarketError::WrongAccount)]
    pub parent: Box<Account<'info, Artifact>>,
}

impl LinkLicense<'_> {
    /// Vendor, configuration and artifacts are checked by attributes, the terms by [`Artifact::link`].
    pub(crate) fn validate(&self) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<LinkLicense>, args: LinkLicenseArgs) -> Result<()> {
    let account = ctx.accounts.derivative.key();
    let (derivative, parent) = (&mut ctx.accounts.derivative, &mut ctx.accounts.parent);
    derivative.link(parent, args.max_ceiling_nc)?;
    let seq = derivative.next_seq()?;
    derivative.invariant()?;
    parent.invariant()?;
    emit!(LicenceLinked {
        account,
        seq,
        hash: derivative.hash,
        parent: parent.hash,
        ceiling_nc: parent.derivation.ceiling_nc,
        ancestors: derivative.n_ancestors,
    });
    Ok(())
}
