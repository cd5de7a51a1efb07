//! An operator moves the end of a delegation.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::MarketError,
    events::NodeRenewed,
    seeds,
    state::{MarketConfig, Node},
};

/// Arguments of `renew_node`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct RenewNodeArgs {
    /// When the delegation ends, unix seconds, at most 366 days ahead.
    pub expires: i64,
}

/// Accounts of `renew_node`.
#[derive(Accounts)]
pub struct RenewNode<'info> {
    /// The provider's wallet.
    pub operator: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The node.
    #[account(
        mut,
        seeds = [seeds::NODE, node.worker.as_ref()],
        bump = node.bump,
        has_one = operator @ MarketError::Unauthorized,
    )]
    pub node: Box<Account<'info, Node>>,
}

impl RenewNode<'_> {
    /// Operator, configuration and node are checked by attributes.
    pub(crate) fn validate(&self, args: &RenewNodeArgs) -> Result<()> {
        self.config.require_running(pause::REGISTRATION)?;
        require!(!self.node.revoked, MarketError::NodeRevoked);
        Node::validate_expiry(args.expires, Clock::get()?.unix_timestamp)
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<RenewNode>, args: RenewNodeArgs) -> Result<()> {
    let account = ctx.accounts.node.key();
    let node = &mut ctx.accounts.node;
    let old_expires = std::mem::replace(&mut node.expires, args.expires);
    let seq = node.next_seq()?;
    node.invariant()?;
    emit!(NodeRenewed { account, seq, operator: node.operator, old_expires, expires: args.expires });
    Ok(())
}
