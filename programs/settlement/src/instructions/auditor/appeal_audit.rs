//! Contests a pass by one verifier, or appeals a panel's decision: more verifiers are asked, and a bond answers for it.
//! Anyone may who deposits the bond; it goes back when the decision does not stand.

use anchor_lang::prelude::*;
use anchor_spl::token::{Token, TokenAccount};
use coin::{authority::pause, state::Rate};
use waybill_mechanism::amount::mul_div_ceil;

use crate::{
    error::SettleError,
    events::AuditAppealed,
    report::report,
    state::{Audit, SettleConfig},
    token,
};

/// Nano-credits in one USD, the unit of the rate.
const NC_PER_USD: u64 = 1_000_000_000;

#[event_cpi]
#[derive(Accounts)]
pub struct AppealAudit<'info> {
    pub appellant: Signer<'info>,
    #[account(has_one = pool @ SettleError::AccountMismatch)]
    pub config: Box<Account<'info, SettleConfig>>,
    pub rate: Box<Account<'info, Rate>>,
    #[account(mut)]
    pub audit: Box<Account<'info, Audit>>,
    #[account(mut)]
    pub source: Box<Account<'info, TokenAccount>>,
    #[account(mut)]
    pub pool: Box<Account<'info, TokenAccount>>,
    pub token_program: Program<'info, Token>,
}

impl AppealAudit<'_> {
    /// `appellant` owns `source`; `pool` is the configured one; `rate` is the coin's; the audit is checked by its state.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DISPUTES)?;
        token::require_owned(&self.source, &self.appellant.key(), &self.config.mint)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<AppealAudit>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = &mut *ctx.accounts;
    let rate = accounts.rate.current(now)?;
    // Rounds up: what somebody owes.
    let bond_aic = mul_div_ceil(accounts.config.dispute.bond_nc(), rate, NC_PER_USD).ok_or(SettleError::Overflow)?;
    let appellant = accounts.appellant.key();
    let audit = &mut accounts.audit;
    let against = audit.judged;
    audit.appeal(appellant, bond_aic, now, accounts.config.audit.verdict_s())?;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    let event = AuditAppealed {
        audit: audit.key(),
        appellant,
        against,
        bond_aic,
        round: audit.round,
        deadline: audit.deadline,
        seq,
    };
    token::transfer(
        &accounts.token_program,
        &accounts.source,
        &accounts.pool,
        accounts.appellant.to_account_info(),
        &[],
        bond_aic,
    )?;
    report(&ctx.accounts.event_authority, &event)
}
