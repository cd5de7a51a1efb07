//! Ends a bounty with the running epoch. Lines until then still pay; what is left returns when they have had their time.

use anchor_lang::prelude::*;
use coin::clock;

use crate::{
    error::SettleError,
    events::BountyEnding,
    state::{Bounty, SettleConfig},
};

#[derive(Accounts)]
pub struct EndBounty<'info> {
    pub sponsor: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = sponsor @ SettleError::Unauthorized)]
    pub bounty: Box<Account<'info, Bounty>>,
}

pub(crate) fn handler(ctx: Context<EndBounty>) -> Result<()> {
    let accounts = ctx.accounts;
    let now = Clock::get()?.unix_timestamp;
    let epoch = clock::epoch(now, accounts.config.epoch_s).ok_or(SettleError::Overflow)?;
    let bounty = &mut accounts.bounty;
    bounty.end(epoch)?;
    let seq = bounty.next_seq()?;
    bounty.invariant()?;
    let closes_at = bounty.closes_at(&accounts.config)?;
    emit!(BountyEnding { bounty: bounty.key(), sponsor: bounty.sponsor, end_epoch: bounty.end_epoch, closes_at, seq });
    Ok(())
}
