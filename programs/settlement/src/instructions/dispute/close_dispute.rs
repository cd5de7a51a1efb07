//! Frees the rent of a dispute that is over. Anyone, once the same accusation can no longer be raised: until then the
//! account's presence is what keeps it from being raised, and paid for, twice.

use anchor_lang::prelude::*;

use crate::{
    error::SettleError,
    events::DisputeClosed,
    state::{Batch, BatchState, Dispute, DisputeKind, DisputeState, GatewayVault},
};

#[derive(Accounts)]
pub struct CloseDispute<'info> {
    #[account(mut, close = rent_payer, has_one = rent_payer @ SettleError::AccountMismatch)]
    pub dispute: Box<Account<'info, Dispute>>,
    /// CHECK: what the dispute was about, existing or not; its type is checked where it is read.
    #[account(address = dispute.target @ SettleError::AccountMismatch)]
    pub target: UncheckedAccount<'info>,
    /// CHECK: receives the rent; the address recorded in `dispute`.
    #[account(mut)]
    pub rent_payer: UncheckedAccount<'info>,
}

impl CloseDispute<'_> {
    /// `dispute` is over, `target` its own and past being disputed, `rent_payer` paid for it.
    fn validate(&self) -> Result<()> {
        require!(self.dispute.is_over(), SettleError::DisputeState);
        let ended = match self.dispute.kind {
            // A closed batch cannot be posted again.
            DisputeKind::UnderpaidWorker
            | DisputeKind::OpenLine
            | DisputeKind::OpenReceipt
            | DisputeKind::OrderFault
            | DisputeKind::PriceFault => !self.target_exists() || self.read::<Batch>()?.state != BatchState::Posted,
            // A refund is recorded in the channel.
            DisputeKind::Overcharge => true,
            // The same two messages would prove it again: an upheld dispute of this kind stays.
            DisputeKind::Equivocation => self.dispute.state == DisputeState::Dismissed,
            // The same receipt would be paid again until a batch of a later epoch has run its course.
            DisputeKind::NoBatch => {
                self.dispute.state == DisputeState::Dismissed
                    || self.dispute.line < self.read::<GatewayVault>()?.first_open_epoch
            }
        };
        require!(ended, SettleError::SubjectOpen);
        Ok(())
    }

    fn target_exists(&self) -> bool {
        self.target.owner == &crate::ID
    }

    fn read<T: AccountDeserialize>(&self) -> Result<T> {
        T::try_deserialize(&mut &self.target.try_borrow_data()?[..])
    }
}

#[access_control(ctx.accounts.validate())]
pub(crate) fn handler(ctx: Context<CloseDispute>) -> Result<()> {
    let accounts = ctx.accounts;
    let seq = accounts.dispute.next_seq()?;
    emit!(DisputeClosed { dispute: accounts.dispute.key(), rent_payer: accounts.rent_payer.key(), seq });
    Ok(())
}
