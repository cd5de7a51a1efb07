//! Pays out what has finished unbonding, to a token account of the owner. No pause flag stops it.

use anchor_lang::prelude::*;
use anchor_spl::token::{self, Mint, Token, TokenAccount, TransferChecked};

use crate::{
    constants::DECIMALS,
    error::MarketError,
    events::UnstakeFinished,
    seeds,
    state::{MarketConfig, Party},
};

/// Accounts of `finish_unstake`.
#[event_cpi]
#[derive(Accounts)]
pub struct FinishUnstake<'info> {
    /// The owner of the party and of the destination.
    pub owner: Signer<'info>,
    /// The configuration.
    #[account(seeds = [seeds::CONFIG], bump = config.bump, has_one = mint @ MarketError::WrongMint)]
    pub config: Box<Account<'info, MarketConfig>>,
    /// The AIC mint.
    pub mint: Box<Account<'info, Mint>>,
    /// The party.
    #[account(
        mut,
        seeds = [seeds::PARTY, party.owner.as_ref(), &[party.role as u8]],
        bump = party.bump,
        has_one = owner @ MarketError::Unauthorized,
    )]
    pub party: Box<Account<'info, Party>>,
    /// Its stake.
    #[account(mut, seeds = [seeds::STAKE, party.key().as_ref()], bump = party.stake_bump)]
    pub stake: Box<Account<'info, TokenAccount>>,
    /// Where the tokens go.
    #[account(
        mut,
        constraint = destination.mint == mint.key() @ MarketError::WrongMint,
        constraint = destination.owner == owner.key() @ MarketError::WrongTokenOwner,
    )]
    pub destination: Box<Account<'info, TokenAccount>>,
    /// The classic token program.
    pub token_program: Program<'info, Token>,
}

pub(crate) fn handler(ctx: Context<FinishUnstake>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let account = ctx.accounts.party.key();
    let party = &mut ctx.accounts.party;
    let amount = party.finish_unstake(now)?;
    let seq = party.next_seq()?;
    party.invariant()?;
    let (owner, role, bump, stake) = (party.owner, party.role, party.bump, party.stake);
    let signer: &[&[u8]] = &[seeds::PARTY, owner.as_ref(), &[role as u8], &[bump]];
    token::transfer_checked(
        CpiContext::new_with_signer(
            Token::id(),
            TransferChecked {
                from: ctx.accounts.stake.to_account_info(),
                mint: ctx.accounts.mint.to_account_info(),
                to: ctx.accounts.destination.to_account_info(),
                authority: ctx.accounts.party.to_account_info(),
            },
            &[signer],
        ),
        amount,
        DECIMALS,
    )?;
    let destination = ctx.accounts.destination.key();
    emit_cpi!(UnstakeFinished { account, seq, owner, destination, amount, stake });
    Ok(())
}
