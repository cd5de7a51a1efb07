//! Step two of a change of authority: the named key takes the role.

use anchor_lang::prelude::*;

use crate::{error::MarketError, events::AuthorityAccepted, seeds, state::MarketConfig};

/// Accounts of `accept_authority`.
#[derive(Accounts)]
pub struct AcceptAuthority<'info> {
    /// Who was proposed.
    pub new_authority: Signer<'info>,
    /// The configuration.
    #[account(mut, seeds = [seeds::CONFIG], bump = config.bump)]
    pub config: Box<Account<'info, MarketConfig>>,
}

pub(crate) fn handler(ctx: Context<AcceptAuthority>) -> Result<()> {
    let account = ctx.accounts.config.key();
    let new = ctx.accounts.new_authority.key();
    let config = &mut **ctx.accounts.config;
    let role = config.pending.role;
    let old = config.authorities.accept(&mut config.pending, new).map_err(MarketError::from)?;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(AuthorityAccepted { account, seq, role, old, new });
    Ok(())
}
