//! Returns the bond of an appeal that was right, or moves that of a wrong one to the account that pays for audits.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    error::SettleError,
    events::BondSettled,
    report::report,
    seeds,
    state::{Audit, SettleConfig},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct SettleBond<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch, has_one = audits @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    #[account(mut)]
    pub audits: Box<Account<'info, TokenAccount>>,
    /// The appellant's tokens.
    #[account(mut)]
    pub destination: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl SettleBond<'_> {
    /// `pool` and `audits` are the configured ones; `destination` belongs to whoever laid the bond.
    fn validate(&self, index: u8) -> Result<()> {
        require!(self.audit.settled, SettleError::AuditState);
        let bond = self.audit.bonds.get(usize::from(index)).ok_or(SettleError::AuditState)?;
        require!(bond.is_held(), SettleError::AlreadyDone);
        token::require_owned(&self.destination, &bond.by, &self.config.mint)
    }
}

/// `index` 0 is the contest of the first verdict, 1 the appeal from the panel.
#[access_control(ctx.accounts.validate(index))]
pub(crate) fn handler(ctx: Context<SettleBond>, index: u8) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let audit = &mut accounts.audit;
    let at = usize::from(index);
    let returned = audit.bond_returns(at);
    let bond = audit.bonds.get_mut(at).ok_or(SettleError::AuditState)?;
    bond.settled = true;
    let (by, aic) = (bond.by, bond.aic);
    let seq = audit.next_seq()?;
    audit.invariant()?;
    let event = BondSettled { audit: audit.key(), appellant: by, returned, aic, seq };
    let to = if returned { &accounts.destination } else { &accounts.audits };
    let (mint, bump) = (accounts.config.mint, [accounts.config.pool_bump]);
    let seeds: [&[u8]; 3] = [seeds::POOL, mint.as_ref(), &bump];
    token::transfer(&accounts.token_program, &accounts.pool, to, accounts.pool.to_account_info(), &seeds, aic)?;
    report(&ctx.accounts.event_authority, &event)
}
