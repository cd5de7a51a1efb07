//! Sets pause flags. Clearing them takes another key, see `resume`.

use anchor_lang::prelude::*;

use crate::{authority::pause as flags, error::CoinError, events::PauseChanged, seeds, state::CoinConfig};

/// Arguments of `pause`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct PauseArgs {
    /// The flags to set, see [`mod@crate::authority::pause`].
    pub flags: u16,
}

/// Accounts of `pause`.
#[derive(Accounts)]
pub struct Pause<'info> {
    /// The pause authority.
    pub authority: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.pause == authority.key() @ CoinError::Unauthorized,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
}

impl Pause<'_> {
    /// The authority is checked by attributes.
    pub(crate) fn validate(&self, args: &PauseArgs) -> Result<()> {
        require!(args.flags != 0 && args.flags & !flags::ALL == 0, CoinError::UnknownFlag);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler(ctx: Context<Pause>, args: PauseArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    let old = config.pause_flags;
    config.pause_flags = old | args.flags;
    let new = config.pause_flags;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(PauseChanged { account, seq, actor: ctx.accounts.authority.key(), old, new });
    Ok(())
}
