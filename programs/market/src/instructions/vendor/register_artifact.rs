//! A vendor registers a model file by its hash; an OEM that optimised it signs too.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::{MAX_ANCESTORS, MAX_LICENCE, MAX_NAME},
    error::MarketError,
    events::ArtifactRegistered,
    seeds,
    state::{Ancestor, Artifact, Licence, MarketConfig, Party, Role},
};

/// Arguments of `register_artifact`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct RegisterArtifactArgs {
    /// SHA-256 of the model file.
    pub hash: [u8; 32],
    /// Size of the model file in bytes, > 0.
    pub size: u64,
    /// Name for people, 1 to 48 bytes.
    pub name: String,
    /// SPDX identifier or short name of the licence, at most 32 bytes.
    pub licence: String,
}

/// Accounts of `register_artifact`.
#[derive(Accounts)]
#[instruction(args: RegisterArtifactArgs)]
pub struct RegisterArtifact<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// Owner of the model.
    pub vendor: Signer<'info>,
    /// Who optimised it for hardware, if anyone.
    pub oem: Option<Signer<'info>>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The vendor's party.
    #[account(
        constraint = party.owner == vendor.key() @ MarketError::Unauthorized,
        constraint = party.role == Role::Vendor @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// The artifact.
    #[account(
        init,
        payer = payer,
        space = 8 + Artifact::INIT_SPACE,
        seeds = [seeds::ARTIFACT, args.hash.as_ref()],
        bump,
    )]
    pub artifact: Box<Account<'info, Artifact>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RegisterArtifact<'_> {
    /// Vendor and OEM sign; configuration and party are checked by attributes, the artifact is created here.
    pub(crate) fn validate(&self, args: &RegisterArtifactArgs) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)?;
        self.party.require_in_good_standing(&self.config.params, Clock::get()?.unix_timestamp)?;
        require!(args.size > 0, MarketError::ZeroAmount);
        require!((1..=MAX_NAME).contains(&args.name.len()) && args.licence.len() <= MAX_LICENCE, MarketError::BadName);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<RegisterArtifact>, args: RegisterArtifactArgs) -> Result<()> {
    let account = ctx.accounts.artifact.key();
    let vendor = ctx.accounts.vendor.key();
    let oem = ctx.accounts.oem.as_ref().map_or_else(Pubkey::default, |oem| oem.key());
    let artifact = &mut ctx.accounts.artifact;
    artifact.set_inner(Artifact {
        version: Artifact::VERSION,
        bump: ctx.bumps.artifact,
        hash: args.hash,
        vendor,
        oem,
        size: args.size,
        registered_at: Clock::get()?.unix_timestamp,
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        ancestors: [Ancestor::default(); MAX_ANCESTORS],
        n_ancestors: 0,
        derivation: Licence::default(),
        has_derivatives: false,
        _reserved: [0; 101],
        name: args.name,
        licence: args.licence,
    });
    let seq = artifact.next_seq()?;
    artifact.invariant()?;
    emit!(ArtifactRegistered { account, seq, hash: args.hash, vendor, oem });
    Ok(())
}
