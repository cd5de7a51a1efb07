//! An operator takes a delegation back for good. No pause flag stops it: it is how a stolen key is answered.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::NodeRevoked, seeds, state::Node};

/// Accounts of `revoke_node`.
#[derive(Accounts)]
pub struct RevokeNode<'info> {
    /// The provider's wallet.
    pub operator: Signer<'info>,
    /// The node.
    #[account(
        mut,
        seeds = [seeds::NODE, node.worker.as_ref()],
        bump = node.bump,
        has_one = operator @ MarketError::Unauthorized,
    )]
    pub node: Box<Account<'info, Node>>,
}

pub(crate) fn handler(ctx: Context<RevokeNode>) -> Result<()> {
    let account = ctx.accounts.node.key();
    let node = &mut ctx.accounts.node;
    node.revoke(Clock::get()?.unix_timestamp)?;
    let seq = node.next_seq()?;
    node.invariant()?;
    emit!(NodeRevoked { account, seq, operator: node.operator, worker: node.worker });
    Ok(())
}
