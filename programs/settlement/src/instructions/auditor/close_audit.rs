//! Returns the rent of a finished audit to whoever paid it. Anyone: when everything that follows from the outcome is done,
//! or four verdict times after the last deadline, and never before the batch is final, so that a draw cannot be audited and
//! paid a second time.

use anchor_lang::prelude::*;

use crate::{
    constants::AUDIT_GRACE_VERDICTS,
    error::SettleError,
    events::AuditClosed,
    state::{Audit, Batch, BatchState, SettleConfig},
};

#[derive(Accounts)]
pub struct CloseAudit<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    /// CHECK: the audit's batch; it may be closed already.
    #[account(address = audit.batch @ SettleError::AccountMismatch)]
    pub batch: UncheckedAccount<'info>,
    #[account(mut, close = rent_payer, has_one = rent_payer @ SettleError::AccountMismatch)]
    pub audit: Box<Account<'info, Audit>>,
    /// CHECK: receives the rent; the address recorded in `audit`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseAudit<'_> {
    /// `audit` is settled and either finished or old, and its `batch` no longer posted; `rent_payer` paid for it.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.audit.settled, SettleError::AuditState);
        let old = self.audit.forfeit_until(self.config.audit.verdict_s(), AUDIT_GRACE_VERDICTS)?;
        require!(self.audit.is_finished() || (now >= old && self.audit.owes_nobody()), SettleError::AuditUnfinished);
        if *self.batch.owner == crate::ID {
            let batch = Batch::try_deserialize(&mut &self.batch.try_borrow_data()?[..])?;
            require!(batch.state != BatchState::Posted, SettleError::BatchState);
        }
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<CloseAudit>) -> Result<()> {
    ctx.accounts.validate(Clock::get()?.unix_timestamp)?;
    let audit = &mut ctx.accounts.audit;
    let seq = audit.next_seq()?;
    emit!(AuditClosed { audit: audit.key(), batch: audit.batch, finished: audit.is_finished(), seq });
    Ok(())
}
