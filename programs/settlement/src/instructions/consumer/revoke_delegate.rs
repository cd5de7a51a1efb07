//! Ends a grant after the revocation grace: served work can still be settled, no new work is accepted.

use anchor_lang::prelude::*;

use crate::{error::SettleError, events::GrantChanged, state::Channel};

#[derive(Accounts)]
pub struct RevokeDelegate<'info> {
    pub consumer: Signer<'info>,
    #[account(mut, has_one = consumer @ SettleError::Unauthorized)]
    pub channel: Box<Account<'info, Channel>>,
}

pub(crate) fn handler(ctx: Context<RevokeDelegate>) -> Result<()> {
    let channel = &mut ctx.accounts.channel;
    let old = channel.grant;
    channel.revoke_grant(Clock::get()?.unix_timestamp)?;
    let seq = channel.next_seq()?;
    channel.invariant()?;
    emit!(GrantChanged { channel: channel.key(), consumer: channel.consumer, old, new: channel.grant, seq });
    Ok(())
}
