//! Answers a dispute about a line (D3) or a receipt (D4) with the receipt itself and its proof. Anyone; the gateway has
//! the data and the reason. A line of several receipts takes two answers: its first receipt, then its last.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    dispute::{LineEnd, line_owner, staged},
    merkle::PROOF_NODE_LEN,
    message::Receipt,
};

use crate::{
    error::SettleError,
    events::EvidenceShown,
    state::{Batch, Dispute, DisputeKind, DisputeState, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct RespondDisputeArgs {
    /// The receipt that the dispute asks for next.
    pub receipt: [u8; Receipt::LEN],
    /// Its siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[derive(Accounts)]
pub struct RespondDispute<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(address = dispute.target @ SettleError::AccountMismatch)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
}

impl RespondDispute<'_> {
    /// `batch` is what `dispute` is about, and the answer is still in time. Answers cannot be paused: silence is guilt.
    fn validate(&self, now: i64) -> Result<()> {
        self.dispute.require_open(now)
    }

    /// The receipt is the leaf at `index`, made for this batch; returns the sum of all leaves before it.
    fn show(&self, index: u32, args: &RespondDisputeArgs, receipt: &Receipt) -> Result<u64> {
        let ours = receipt.domain == self.config.domain
            && receipt.gateway == self.batch.gateway.to_bytes()
            && receipt.epoch == self.batch.epoch;
        require!(ours, SettleError::NotAnAnswer);
        self.batch.prove_receipt(index, &args.receipt, receipt, &args.proof)
    }
}

#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<RespondDispute>, args: RespondDisputeArgs) -> Result<()> {
    let receipt = Receipt::from_bytes(&args.receipt).map_err(|_| SettleError::MalformedMessage)?;
    let accounts = ctx.accounts;
    let dispute = &accounts.dispute;
    let (kind, step, first, last) = (dispute.kind, dispute.step, dispute.first, dispute.last);
    let (complete, digest) = match (kind, step) {
        (DisputeKind::OpenLine, 0) => {
            let prefix_nc = accounts.show(first, &args, &receipt)?;
            let expected =
                LineEnd::after(&dispute.digest, dispute.n_receipts()?, dispute.amount_nc, &receipt, prefix_nc)
                    .ok_or(SettleError::NotAnAnswer)?;
            // A line of one receipt begins and ends with it.
            let complete = first == last;
            require!(!complete || LineEnd::of(&receipt, prefix_nc) == Some(expected), SettleError::NotAnAnswer);
            (complete, expected.hash())
        }
        (DisputeKind::OpenLine, _) => {
            let prefix_nc = accounts.show(last, &args, &receipt)?;
            let end = LineEnd::of(&receipt, prefix_nc).ok_or(SettleError::NotAnAnswer)?;
            require!(end.hash() == dispute.digest, SettleError::NotAnAnswer);
            (true, dispute.digest)
        }
        (DisputeKind::OpenReceipt, _) => {
            let owner = line_owner(&receipt.line_key, &receipt.worker);
            require!(staged(&owner, &receipt.hash()) == dispute.digest, SettleError::NotAnAnswer);
            accounts.show(dispute.index, &args, &receipt)?;
            (true, dispute.digest)
        }
        _ => return err!(SettleError::DisputeState),
    };
    let dispute = &mut accounts.dispute;
    dispute.digest = digest;
    dispute.advance(if complete { DisputeState::Answered } else { DisputeState::Open })?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
