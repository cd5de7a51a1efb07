//! Ends a round whose time is over and books an outcome that nothing can change any more: the worker's record moves, and
//! the batch no longer waits for this audit, unless a line is still to be forfeited. Anyone.

use anchor_lang::prelude::*;
use coin::authority::pause;

use crate::{
    error::SettleError,
    events::AuditResolved,
    state::{Audit, Batch, SettleConfig, WorkerRecord},
};

#[derive(Accounts)]
pub struct ResolveAudit<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut, has_one = batch @ SettleError::AccountMismatch)]
    pub audit: Box<Account<'info, Audit>>,
    #[account(mut, constraint = record.worker == audit.worker @ SettleError::AccountMismatch)]
    pub record: Box<Account<'info, WorkerRecord>>,
}

impl ResolveAudit<'_> {
    /// `batch` is the audit's, `record` its worker's.
    fn validate(&self) -> Result<()> {
        self.config.require_running(pause::DISPUTES)
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<ResolveAudit>) -> Result<()> {
    let now = Clock::get()?.unix_timestamp;
    let accounts = ctx.accounts;
    let audit = &mut accounts.audit;
    let outcome = audit.resolve(now, accounts.config.audit.verdict_s())?;
    if !audit.canary {
        accounts.record.book(outcome, now)?;
        accounts.record.invariant()?;
    }
    if !audit.convicts() {
        audit.line_done = true;
        accounts.batch.end_audit()?;
        accounts.batch.invariant()?;
    }
    let seq = audit.next_seq()?;
    audit.invariant()?;
    emit!(AuditResolved {
        audit: audit.key(),
        batch: audit.batch,
        worker: audit.worker,
        outcome,
        votes: audit.votes,
        convicts: audit.convicts(),
        canary: audit.canary,
        passes: accounts.record.passes,
        rate_bps: accounts.record.rate_bps(),
        seq
    });
    Ok(())
}
