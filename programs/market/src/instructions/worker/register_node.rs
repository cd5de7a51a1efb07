//! An operator delegates a worker's network key. The worker signs too, so nobody can collect what another's key earns.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    constants::REGION_LEN,
    error::MarketError,
    events::NodeRegistered,
    seeds,
    state::{DetClass, MarketConfig, Node, Party, Role},
};

/// Arguments of `register_node`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RegisterNodeArgs {
    /// Where the machine stands.
    pub region: [u8; REGION_LEN],
    /// Class of work it serves.
    pub class: u16,
    /// Determinism class, registered and enabled.
    pub det_class: u16,
    /// When the delegation ends, unix seconds, at most 366 days ahead.
    pub expires: i64,
}

/// Accounts of `register_node`.
#[derive(Accounts)]
#[instruction(args: RegisterNodeArgs)]
pub struct RegisterNode<'info> {
    /// Pays the rent.
    #[account(mut)]
    pub payer: Signer<'info>,
    /// The provider's wallet.
    pub operator: Signer<'info>,
    /// The worker's network key.
    pub worker: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The operator's party as a provider.
    #[account(
        constraint = party.owner == operator.key() @ MarketError::Unauthorized,
        constraint = party.role == Role::Provider @ MarketError::WrongAccount,
    )]
    pub party: Box<Account<'info, Party>>,
    /// The determinism class that the machine belongs to.
    #[account(
        seeds = [seeds::DET_CLASS, &args.det_class.to_le_bytes()],
        bump = class.bump,
        constraint = class.enabled @ MarketError::DetClassDisabled,
    )]
    pub class: Box<Account<'info, DetClass>>,
    /// The node.
    #[account(
        init,
        payer = payer,
        space = 8 + Node::INIT_SPACE,
        seeds = [seeds::NODE, worker.key().as_ref()],
        bump,
    )]
    pub node: Box<Account<'info, Node>>,
    /// The system program.
    pub system_program: Program<'info, System>,
}

impl RegisterNode<'_> {
    /// Operator and worker sign; configuration, party and class are checked by attributes, the node is created here.
    pub(crate) fn validate(&self, args: &RegisterNodeArgs) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)?;
        self.party.require_in_good_standing(&self.config.params, Clock::get()?.unix_timestamp)?;
        Node::validate_region(&args.region)?;
        Node::validate_expiry(args.expires, Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<RegisterNode>, args: RegisterNodeArgs) -> Result<()> {
    let account = ctx.accounts.node.key();
    let (operator, worker) = (ctx.accounts.operator.key(), ctx.accounts.worker.key());
    let node = &mut ctx.accounts.node;
    node.set_inner(Node {
        version: Node::VERSION,
        bump: ctx.bumps.node,
        revoked: false,
        operator,
        worker,
        region: args.region,
        class: args.class,
        det_class: args.det_class,
        expires: args.expires,
        seq: 0,
        rent_payer: ctx.accounts.payer.key(),
        revoked_at: 0,
        _reserved: [0; 56],
    });
    let seq = node.next_seq()?;
    node.invariant()?;
    emit!(NodeRegistered {
        account,
        seq,
        operator,
        worker,
        region: args.region,
        class: args.class,
        expires: args.expires,
    });
    Ok(())
}
