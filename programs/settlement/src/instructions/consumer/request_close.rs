//! Starts the grace period of a channel. Vouchers and delegated claims stay settleable until it is closed.

use anchor_lang::prelude::*;

use crate::{
    error::SettleError,
    events::CloseRequested,
    state::{Channel, SettleConfig},
};

#[derive(Accounts)]
pub struct RequestClose<'info> {
    pub consumer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = consumer @ SettleError::Unauthorized)]
    pub channel: Box<Account<'info, Channel>>,
}

pub(crate) fn handler(ctx: Context<RequestClose>) -> Result<()> {
    let channel = &mut ctx.accounts.channel;
    channel.begin_close(Clock::get()?.unix_timestamp, ctx.accounts.config.grace_s)?;
    let seq = channel.next_seq()?;
    channel.invariant()?;
    emit!(CloseRequested { channel: channel.key(), consumer: channel.consumer, close_at: channel.close_at, seq });
    Ok(())
}
