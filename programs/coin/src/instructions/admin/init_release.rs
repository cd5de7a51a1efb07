//! Begins releases and vesting: names the program whose fees bound releases and the wallet of the team, once.

use anchor_lang::prelude::*;

use crate::{error::CoinError, events::ReleaseConfigured, seeds, state::CoinConfig};

/// Arguments of `init_release`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct InitReleaseArgs {
    /// The settlement program.
    pub settlement: Pubkey,
    /// The wallet that vested tokens go to.
    pub team: Pubkey,
}

/// Accounts of `init_release`.
#[derive(Accounts)]
pub struct InitRelease<'info> {
    /// The admin.
    pub admin: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == admin.key() @ CoinError::Unauthorized,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
}

pub(crate) fn handler(ctx: Context<InitRelease>, args: InitReleaseArgs) -> Result<()> {
    let start = Clock::get()?.unix_timestamp;
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    config.init_release(args.settlement, args.team, start)?;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(ReleaseConfigured { account, seq, settlement: args.settlement, team: args.team, start });
    Ok(())
}
