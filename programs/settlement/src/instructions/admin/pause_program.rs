//! Stops parts of the program. The pause authority sets flags; it cannot clear any.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{error::SettleError, events::PauseChanged, state::SettleConfig};

#[derive(Accounts)]
pub struct PauseProgram<'info> {
    pub authority: Signer<'info>,
    #[account(mut)]
    pub config: Box<Account<'info, SettleConfig>>,
}

impl PauseProgram<'_> {
    fn validate(&self, flags: u16) -> Result<()> {
        require_keys_eq!(self.authority.key(), self.config.authorities.pause, SettleError::Unauthorized);
        require!(flags & !pause::ALL == 0, SettleError::InvalidConfig);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(flags))]
pub(crate) fn handler(ctx: Context<PauseProgram>, flags: u16) -> Result<()> {
    let config = &mut ctx.accounts.config;
    let old = config.pause_flags;
    if flags & pause::WITHDRAWALS != 0 {
        config.pause_withdrawals(Clock::get()?.unix_timestamp)?;
    }
    config.pause_flags |= flags;
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
