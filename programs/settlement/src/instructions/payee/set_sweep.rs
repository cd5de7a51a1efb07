//! Registers the wallet that `sweep_earnings` pays. Every change takes effect after a day, so that a stolen key cannot
//! redirect earnings unseen.

use anchor_lang::prelude::*;

use crate::{error::SettleError, events::SweepChanged, state::Earnings};

#[derive(Accounts)]
pub struct SetSweep<'info> {
    pub owner: Signer<'info>,
    #[account(mut, has_one = owner @ SettleError::Unauthorized)]
    pub earnings: Box<Account<'info, Earnings>>,
}

/// `wallet` default removes the address.
pub(crate) fn handler(ctx: Context<SetSweep>, wallet: Pubkey) -> Result<()> {
    let earnings = &mut ctx.accounts.earnings;
    earnings.propose_sweep(wallet, Clock::get()?.unix_timestamp)?;
    let seq = earnings.next_seq()?;
    earnings.invariant()?;
    emit!(SweepChanged {
        earnings: earnings.key(),
        owner: earnings.owner,
        old: earnings.sweep,
        new: wallet,
        effective: earnings.pending_from,
        seq
    });
    Ok(())
}
