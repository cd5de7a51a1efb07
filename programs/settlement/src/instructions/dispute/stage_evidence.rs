//! First half of an answer to D4: the ed25519 instruction before this one verifies the worker's signature of the receipt
//! that `respond_dispute` will show, because signature, receipt and proof do not fit one transaction.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    dispute::{line_owner, staged},
    message::Receipt,
};

use crate::{
    error::SettleError,
    events::EvidenceShown,
    signature,
    state::{Batch, Dispute, DisputeKind, DisputeState, SettleConfig},
};

#[derive(Accounts)]
pub struct StageEvidence<'info> {
    /// Only the accused: whoever else could stage another receipt could keep it from answering.
    pub gateway: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(
        has_one = gateway @ SettleError::Unauthorized,
        address = dispute.target @ SettleError::AccountMismatch
    )]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
}

impl StageEvidence<'_> {
    /// `batch` is what `dispute` is about and `gateway` posted it; the answer is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::OpenReceipt, SettleError::DisputeState);
        self.dispute.require_open(now)
    }

    /// The receipt that its own worker signed, in the instruction before.
    fn receipt(&self) -> Result<Receipt> {
        let receipt = signature::with_preceding_ed25519(&self.instructions, |data| {
            let message = signature::message::<{ Receipt::LEN }>(data)?;
            let receipt = Receipt::from_bytes(message).map_err(|_| SettleError::MalformedMessage)?;
            signature::signed_message::<{ Receipt::LEN }>(data, &Pubkey::new_from_array(receipt.worker))?;
            Ok(receipt)
        })?;
        require!(receipt.domain == self.config.domain, SettleError::NotAnAnswer);
        Ok(receipt)
    }
}

/// `replaces` is the hash of the receipt staged before, zeros for none: a wrong one can be corrected.
#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<StageEvidence>, replaces: [u8; 32]) -> Result<()> {
    let accounts = ctx.accounts;
    let receipt = accounts.receipt()?;
    let owner = line_owner(&receipt.line_key, &receipt.worker);
    let dispute = &mut accounts.dispute;
    require!(staged(&owner, &replaces) == dispute.digest, SettleError::NotAnAnswer);
    dispute.digest = staged(&owner, &receipt.hash());
    dispute.advance(DisputeState::Open)?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
