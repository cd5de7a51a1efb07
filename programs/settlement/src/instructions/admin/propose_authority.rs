//! First of two steps to hand over an authority: the admin names the new holder.

use anchor_lang::prelude::*;
use coin::authority::{Authorities, AuthorityRole};

use crate::{error::SettleError, events::AuthorityProposed, state::SettleConfig};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct ProposeAuthorityArgs {
    pub role: AuthorityRole,
    pub new: Pubkey,
}

#[derive(Accounts)]
pub struct ProposeAuthority<'info> {
    pub admin: Signer<'info>,
    #[account(mut)]
    pub config: Box<Account<'info, SettleConfig>>,
}

impl ProposeAuthority<'_> {
    fn validate(&self) -> Result<()> {
        require_keys_eq!(self.admin.key(), self.config.authorities.admin, SettleError::Unauthorized);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ProposeAuthority>, args: ProposeAuthorityArgs) -> Result<()> {
    let config = &mut ctx.accounts.config;
    Authorities::propose(&mut config.pending, args.role, args.new).map_err(|_| SettleError::DefaultKey)?;
    let seq = config.next_seq()?;
    config.invariant()?;
    emit!(AuthorityProposed {
        config: config.key(),
        role: args.role,
        old: config.authorities.holder(args.role),
        new: args.new,
        seq
    });
    Ok(())
}
