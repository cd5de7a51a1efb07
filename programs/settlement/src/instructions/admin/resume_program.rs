//! Lets paused parts of the program run again. Only the resume authority clears flags.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{error::SettleError, events::PauseChanged, state::SettleConfig};

#[derive(Accounts)]
pub struct ResumeProgram<'info> {
    pub authority: Signer<'info>,
    #[account(mut)]
    pub config: Box<Account<'info, SettleConfig>>,
}

impl ResumeProgram<'_> {
    fn validate(&self) -> Result<()> {
        require_keys_eq!(self.authority.key(), self.config.authorities.resume, SettleError::Unauthorized);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ResumeProgram>, flags: u16) -> Result<()> {
    let config = &mut ctx.accounts.config;
    let old = config.pause_flags;
    if old & flags & pause::WITHDRAWALS != 0 {
        config.resume_withdrawals(Clock::get()?.unix_timestamp)?;
    }
    config.pause_flags &= !flags;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(PauseChanged {
        config: config.key(),
        actor: ctx.accounts.authority.key(),
        old,
        new: config.pause_flags,
        seq
    });
    Ok(())
}
