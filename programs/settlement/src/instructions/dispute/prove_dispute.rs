//! Shows a leaf that a challenger will argue with: the receipt accused in D5 or D9, then in D5 the receipt that
//! contradicts it, in the same batch or another of the same gateway and epoch.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    dispute::{Place, shown_leaf, shown_pair},
    merkle::PROOF_NODE_LEN,
    message::Receipt,
};

use crate::{
    error::SettleError,
    events::EvidenceShown,
    state::{Batch, Dispute, DisputeKind, DisputeState},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ProveDisputeArgs {
    /// Index of the receipt in its tree.
    pub index: u32,
    pub receipt: [u8; Receipt::LEN],
    /// Its siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[derive(Accounts)]
pub struct ProveDispute<'info> {
    pub challenger: Signer<'info>,
    #[account(address = dispute.target @ SettleError::AccountMismatch)]
    pub target: Box<Account<'info, Batch>>,
    /// The batch that the receipt is in.
    #[account(
        constraint = batch.gateway == target.gateway && batch.epoch == target.epoch @ SettleError::AccountMismatch
    )]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut, has_one = challenger @ SettleError::NotTheChallenger)]
    pub dispute: Box<Account<'info, Dispute>>,
}

impl ProveDispute<'_> {
    /// `target` is what `dispute` is about, `batch` of the same gateway and epoch; the proof is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        self.dispute.require_open(now)
    }
}

#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<ProveDispute>, args: ProveDisputeArgs) -> Result<()> {
    let receipt = Receipt::from_bytes(&args.receipt).map_err(|_| SettleError::MalformedMessage)?;
    let accounts = ctx.accounts;
    accounts.batch.prove_receipt(args.index, &args.receipt, &receipt, &args.proof)?;
    let place = Place { batch: accounts.batch.key().to_bytes(), index: args.index };
    let leaf = shown_leaf(&receipt.hash(), &place);
    let dispute = &mut accounts.dispute;
    dispute.digest = match (dispute.kind, dispute.step) {
        (DisputeKind::OrderFault | DisputeKind::PriceFault, 0) => {
            require!(accounts.batch.key() == dispute.target && args.index == dispute.index, SettleError::NoFault);
            leaf
        }
        (DisputeKind::OrderFault, 1) => shown_pair(&dispute.digest, &leaf),
        _ => return err!(SettleError::DisputeState),
    };
    dispute.advance(DisputeState::Open)?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
