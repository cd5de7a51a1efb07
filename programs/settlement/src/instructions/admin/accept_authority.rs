//! Second of two steps to hand over an authority: the new holder signs.

use anchor_lang::prelude::*;

use crate::{error::SettleError, events::AuthorityAccepted, state::SettleConfig};

#[derive(Accounts)]
pub struct AcceptAuthority<'info> {
    /// The proposed holder; the transition refuses everybody else.
    pub new: Signer<'info>,
    #[account(mut)]
    pub config: Box<Account<'info, SettleConfig>>,
}

pub(crate) fn handler(ctx: Context<AcceptAuthority>) -> Result<()> {
    let new = ctx.accounts.new.key();
    let config = &mut **ctx.accounts.config;
    let role = config.pending.role;
    let old = config.authorities.accept(&mut config.pending, new).map_err(|_| SettleError::NoPendingAuthority)?;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(AuthorityAccepted { config: ctx.accounts.config.key(), role, old, new, seq });
    Ok(())
}
