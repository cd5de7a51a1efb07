//! Credits a verifier whose verdict stood with the price of the receipt, from the account that fees fill for audits.
//! Anyone; in shadow mode too, because the work was done.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};

use crate::{
    error::SettleError,
    events::VerifierPaid,
    report::report,
    seeds,
    state::{Audit, Earnings, SettleConfig, VerifierSet},
    token,
};

#[event_cpi]
#[derive(Accounts)]
pub struct PayVerifier<'info> {
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    pub set: Box<Account<'info, VerifierSet>>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
    #[account(mut)]
    pub earnings: Box<Account<'info, Earnings>>,
    #[account(mut, seeds = [seeds::AUDITS, config.mint.as_ref()], bump)]
    pub audits: Box<Account<'info, TokenAccount>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl PayVerifier<'_> {
    /// `set` is of the audit's class and `earnings` of the owner of the chair's seat in it; `audits` and `pool` are this
    /// program's.
    fn validate(&self, chair: u8, now: i64) -> Result<()> {
        require!(self.audit.settled, SettleError::AuditState);
        require!(self.set.det_class == self.audit.det_class, SettleError::AccountMismatch);
        require!(now < self.audit.seats_until, SettleError::VerdictLate);
        require!(self.audit.is_owed(chair), SettleError::NotSeated);
        let seat = self.audit.seat_of(&self.set, chair)?;
        require!(
            self.earnings.owner == seat.owner && self.earnings.mint == self.config.mint,
            SettleError::PayeeMismatch
        );
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<PayVerifier>, chair: u8) -> Result<()> {
    ctx.accounts.validate(chair, Clock::get()?.unix_timestamp)?;
    let bump = [ctx.bumps.audits];
    let accounts = &mut *ctx.accounts;
    let audit = &mut accounts.audit;
    Audit::once(&mut audit.paid, chair)?;
    // Never more than fees brought in: an empty account pays later, a short one what it has.
    let aic = audit.fee_aic.min(accounts.audits.amount);
    require!(aic > 0 || audit.fee_aic == 0, SettleError::InsufficientVault);
    let seq = audit.next_seq()?;
    audit.invariant()?;
    accounts.earnings.credit(aic)?;
    accounts.earnings.invariant()?;
    let event = VerifierPaid {
        audit: audit.key(),
        chair,
        owner: accounts.earnings.owner,
        aic,
        earnings_aic: accounts.earnings.amount_aic,
        seq,
    };
    let mint = accounts.config.mint;
    let seeds: [&[u8]; 3] = [seeds::AUDITS, mint.as_ref(), &bump];
    let authority = accounts.audits.to_account_info();
    token::transfer(&accounts.token_program, &accounts.audits, &accounts.pool, authority, &seeds, aic)?;
    report(&ctx.accounts.event_authority, &event)
}
