//! Withdraws a proposed spend. The admin can, and so can the pause authority, who may stop things but start nothing.

use anchor_lang::prelude::*;

use crate::{
    error::CoinError,
    events::SpendCancelled,
    seeds,
    state::{CoinConfig, PendingSpend},
};

/// Accounts of `cancel_spend`.
#[derive(Accounts)]
pub struct CancelSpend<'info> {
    /// The admin or the pause authority.
    pub authority: Signer<'info>,
    /// The configuration.
    #[account(
        mut,
        seeds = [seeds::CONFIG],
        bump = config.bump,
        constraint = config.authorities.admin == authority.key() || config.authorities.pause == authority.key()
            @ CoinError::Unauthorized,
    )]
    pub config: Box<Account<'info, CoinConfig>>,
    /// The proposal.
    #[account(
        mut,
        close = rent_payer,
        seeds = [seeds::PENDING, &[spend.kind as u8], &spend.id.to_le_bytes()],
        bump = spend.bump,
        has_one = rent_payer @ CoinError::WrongAddress,
    )]
    pub spend: Box<Account<'info, PendingSpend>>,
    /// CHECK: receives the rent; the address recorded in `spend`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

pub(crate) fn handler(ctx: Context<CancelSpend>) -> Result<()> {
    let accounts = ctx.accounts;
    let seq = accounts.config.next_seq()?;
    accounts.config.invariant()?;
    emit!(SpendCancelled {
        account: accounts.spend.key(),
        seq,
        actor: accounts.authority.key(),
        kind: accounts.spend.kind,
        amount: accounts.spend.amount,
    });
    Ok(())
}
