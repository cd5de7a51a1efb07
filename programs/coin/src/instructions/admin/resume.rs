//! Clears pause flags.

use anchor_lang::prelude::*;

use crate::{authority::pause as flags, error::CoinError, events::PauseChanged, seeds, state::CoinConfig};

/// Arguments of `resume`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct ResumeArgs {
    /// The flags to clear, see [`mod@crate::authority::pause`].
    pub flags: u16,
}

/// Accounts of `resume`.
#[derive(Accounts)]
pub struct Resume<'info> {
    /// The resume authority.
    pub authority: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.resume == authority.key() @ CoinError::Unauthorized,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
}

impl Resume<'_> {
    /// The authority is checked by attributes.
    pub(crate) fn validate(&self, args: &ResumeArgs) -> Result<()> {
        require!(args.flags != 0 && args.flags & !flags::ALL == 0, CoinError::UnknownFlag);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<Resume>, args: ResumeArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    let old = config.pause_flags;
    config.pause_flags = old & !args.flags;
    let new = config.pause_flags;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(PauseChanged { account, seq, actor: ctx.accounts.authority.key(), old, new });
    Ok(())
}
