//! Grants the channel's gateway a spending limit, or replaces the present one. The new first period starts now.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::SettleError,
    events::GrantChanged,
    state::{Channel, ChannelState, GrantTerms, SettleConfig},
};

#[derive(Accounts)]
pub struct SetDelegate<'info> {
    pub consumer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = consumer @ SettleError::Unauthorized)]
    pub channel: Box<Account<'info, Channel>>,
}

impl SetDelegate<'_> {
    /// `consumer` owns `channel`.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DEPOSITS)?;
        require!(self.channel.state == ChannelState::Open, SettleError::ChannelState);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<SetDelegate>, terms: GrantTerms) -> Result<()> {
    let channel = &mut ctx.accounts.channel;
    let old = channel.grant;
    channel.set_grant(terms, Clock::get()?.unix_timestamp)?;
    let seq = channel.next_seq()?;
    channel.invariant()?;
    emit!(GrantChanged { channel: channel.key(), consumer: channel.consumer, old, new: channel.grant, seq });
    Ok(())
}
