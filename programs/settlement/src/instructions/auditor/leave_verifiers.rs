//! A verifier gives up its seat; signed by its owner. Audits of batches that were posted before still ask it.

use anchor_lang::prelude::*;

use crate::{events::VerifierLeft, state::VerifierSet};

#[derive(Accounts)]
pub struct LeaveVerifiers<'info> {
    /// Holds the seat; the transition refuses everybody else.
    pub owner: Signer<'info>,
    #[account(mut)]
    pub set: Box<Account<'info, VerifierSet>>,
}

pub(crate) fn handler(ctx: Context<LeaveVerifiers>, seat: u8) -> Result<()> {
    let owner = ctx.accounts.owner.key();
    leave(&mut ctx.accounts.set, owner, seat, false)
}

/// Ends the seat of `owner` now and reports it.
pub(crate) fn leave(set: &mut Account<VerifierSet>, owner: Pubkey, seat: u8, evicted: bool) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let info = set.to_account_info();
    set.leave(&mut info.try_borrow_mut_data()?, seat, &owner, now)?;
    let seq = set.next_seq()?;
    set.invariant()?;
    emit!(VerifierLeft { set: set.key(), det_class: set.det_class, seat, owner, evicted, seated: set.seated, seq });
    Ok(())
}
