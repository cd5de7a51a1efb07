//! Step one of a change of authority: the admin names who may take over a role.

use anchor_lang::prelude::*;

use crate::{
    authority::{Authorities, AuthorityRole},
    error::CoinError,
    events::AuthorityProposed,
    seeds,
    state::CoinConfig,
};

/// Arguments of `propose_authority`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct ProposeAuthorityArgs {
    /// The role that would change hands.
    pub role: AuthorityRole,
    /// Who may accept it.
    pub key: Pubkey,
}

/// Accounts of `propose_authority`.
#[derive(Accounts)]
pub struct ProposeAuthority<'info> {
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

pub(crate) fn handler(ctx: Context<ProposeAuthority>, args: ProposeAuthorityArgs) -> Result<()> {
    let account = ctx.accounts.config.key();
    let config = &mut ctx.accounts.config;
    Authorities::propose(&mut config.pending, args.role, args.key).map_err(CoinError::from)?;
    let old = config.authorities.holder(args.role);
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(AuthorityProposed { account, seq, role: args.role, old, new: args.key });
    Ok(())
}
