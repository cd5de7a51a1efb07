//! A weaver creates a container. Its artifacts and markets are looked at when a snapshot is made, not here.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::MAX_NAME,
    error::MarketError,
    events::ContainerCreated,
    seeds,
    state::{Container, ContainerState, MarketConfig, Party, Role, Stage},
};

/// Arguments of `create_container`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct CreateContainerArgs {
    /// Name of the container for accounts and messages.
    pub id: [u8; 32],
    /// The model id by which consumers call it, 1 to 48 bytes.
    pub name: String,
    /// Share of the curator, in bps.
    pub beta_bps: u16,
    /// The most the price of a stage may be, nc per 1,000 BU; 0 = no promise.
    pub ceiling_nc: u64,
    /// SHA-256 of the URI at which the container's manifest lies.
    pub uri_hash: [u8; 32],
    /// SHA-256 of the terms of use.
    pub terms_hash: [u8; 32],
    /// One to eight stages.
    pub stages: Vec<Stage>,
}

/// Accounts of `create_container`.
#[derive(Accounts)]
#[instruction(args: CreateContainerArgs)]
pub struct CreateContainer<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The weaver.
    pub creator: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The weaver's party.
    #[account(
        constraint = party.owner == creator.key() @ MarketError::Unauthorized,
        constraint = party.role == Role::Weaver @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// The container.
    #[account(
        init,
        payer = payer,
        space = 8 + Container::INIT_SPACE,
        seeds = [seeds::CONTAINER, args.id.as_ref()],
        bump,
    )]
    pub container: Box<Account<'info, Container>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl CreateContainer<'_> {
    /// The weaver signs; configuration and party are checked by attributes, the container is created here.
    pub(crate) fn validate(&self, args: &CreateContainerArgs) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)?;
        self.party.require_in_good_standing(&self.config.params, Clock::get()?.unix_timestamp)?;
        require!((1..=MAX_NAME).contains(&args.name.len()), MarketError::BadName);
        require!(args.beta_bps <= self.config.params.beta_max_bps, MarketError::BetaTooHigh);
        Container::validate_stages(&args.stages)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<CreateContainer>, args: CreateContainerArgs) -> Result<()> {
    let account = ctx.accounts.container.key();
    let creator = ctx.accounts.creator.key();
    let stages = u8::try_from(args.stages.len()).map_err(|_| MarketError::BadStages)?;
    let container = &mut ctx.accounts.container;
    container.set_inner(Container {
        version: Container::VERSION,
        bump: ctx.bumps.container,
        state: ContainerState::Active,
        revision: 1,
        beta_bps: args.beta_bps,
        id: args.id,
        creator,
        ceiling_nc: args.ceiling_nc,
        uri_hash: args.uri_hash,
        terms_hash: args.terms_hash,
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        retired_at: 0,
        next_beta_bps: 0,
        beta_epoch: 0,
        _reserved: [0; 114],
        name: args.name,
        stages: args.stages,
    });
    let seq = container.next_seq()?;
    container.invariant()?;
    emit!(ContainerCreated { account, seq, id: args.id, creator, stages });
    Ok(())
}
