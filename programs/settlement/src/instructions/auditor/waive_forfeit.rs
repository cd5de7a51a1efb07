//! Ends the wait for a line that nobody forfeited: four verdict times after the last deadline the batch goes on without, so
//! that unpublished data keeps nobody else from being paid. Anyone.

use anchor_lang::prelude::*;

use crate::{
    constants::AUDIT_GRACE_VERDICTS,
    error::SettleError,
    events::ForfeitWaived,
    state::{Audit, Batch, SettleConfig},
};

#[derive(Accounts)]
pub struct WaiveForfeit<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut, has_one = batch @ SettleError::AccountMismatch)]
    pub audit: Box<Account<'info, Audit>>,
}

impl WaiveForfeit<'_> {
    /// `batch` is the audit's and still waits for its line.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.audit.convicts(), SettleError::NothingToPunish);
        require!(!self.audit.line_done, SettleError::AlreadyDone);
        let until = self.audit.forfeit_until(self.config.audit.verdict_s(), AUDIT_GRACE_VERDICTS)?;
        require!(now >= until, SettleError::AuditUnfinished);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<WaiveForfeit>) -> Result<()> {
    ctx.accounts.validate(Clock::get()?.unix_timestamp)?;
    let accounts = ctx.accounts;
    accounts.batch.end_audit()?;
    accounts.batch.invariant()?;
    let audit = &mut accounts.audit;
    audit.line_done = true;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    emit!(ForfeitWaived { audit: audit.key(), batch: audit.batch, seq });
    Ok(())
}
