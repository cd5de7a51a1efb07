//! Puts stake on its way out.

use anchor_lang::prelude::*;

use crate::{
    error::MarketError,
    events::UnstakeBegun,
    seeds,
    state::{MarketConfig, Party},
};

/// Arguments of `begin_unstake`.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug)]
pub struct BeginUnstakeArgs {
    /// AIC base units.
    pub amount: u64,
}

/// Accounts of `begin_unstake`.
#[event_cpi]
#[derive(Accounts)]
pub struct BeginUnstake<'info> {
    /// The owner of the party.
    pub owner: Signer<'info>,
    /// The configuration, the one account of its type.
    pub config: Box<Account<'info, MarketConfig>>,
    /// The party.
    #[account(
        mut,
        seeds = [seeds::PARTY, party.owner.as_ref(), &[party.role as u8]],
        bump = party.bump,
        has_one = owner @ MarketError::Unauthorized,
    )]
    pub party: Box<Account<'info, Party>>,
}

pub(crate) fn handler(ctx: Context<BeginUnstake>, args: BeginUnstakeArgs) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let account = ctx.accounts.party.key();
    let party = &mut ctx.accounts.party;
    party.begin_unstake(args.amount, now, ctx.accounts.config.params.unbonding_s)?;
    let seq = party.next_seq()?;
    party.invariant()?;
    let event = UnstakeBegun {
        account,
        seq,
        owner: party.owner,
        amount: args.amount,
        stake: party.stake,
        unbonding: party.unbonding,
        until: party.unbonding_until,
    };
    emit_cpi!(event);
    Ok(())
}
