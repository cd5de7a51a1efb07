//! Answers D1 with the settlement leaves of the disputed line key: at most one per shard, in the order of shards, until
//! their credits reach what the worker is owed.

use anchor_lang::prelude::*;
use waybill_mechanism::{merkle::PROOF_NODE_LEN, message::Line};

use crate::{
    error::SettleError,
    events::EvidenceShown,
    state::{Batch, Dispute, DisputeKind, DisputeState},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct RespondLineArgs {
    /// The settlement leaf.
    pub line: [u8; Line::LEN],
    /// Its siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[derive(Accounts)]
pub struct RespondLine<'info> {
    /// Only the accused: whoever else could show a late shard first could keep it from showing the earlier ones.
    pub gateway: Signer<'info>,
    #[account(
        has_one = gateway @ SettleError::Unauthorized,
        address = dispute.target @ SettleError::AccountMismatch
    )]
    pub target: Box<Account<'info, Batch>>,
    /// The shard that the line is in.
    #[account(
        constraint = batch.gateway == target.gateway && batch.epoch == target.epoch @ SettleError::AccountMismatch
    )]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
}

impl RespondLine<'_> {
    /// `gateway` posted `target`, which `dispute` is about, and `batch`; the answer is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::UnderpaidWorker, SettleError::DisputeState);
        self.dispute.require_open(now)
    }

    /// A void line pays nobody. After finality void and claimed look alike, so a batch with void lines must still be
    /// posted, with the line's bit unset.
    fn require_payable(&self, line: &Line) -> Result<()> {
        let marked = Batch::is_claimed(&self.batch.to_account_info().try_borrow_data()?, line.index)?;
        require!(!marked || self.batch.forfeited_nc == 0, SettleError::NotAnAnswer);
        Ok(())
    }
}

#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<RespondLine>, args: RespondLineArgs) -> Result<()> {
    let accounts = ctx.accounts;
    let line = accounts.batch.line(&args.line, &args.proof)?;
    accounts.require_payable(&line)?;
    let dispute = &mut accounts.dispute;
    let shard = u32::from(accounts.batch.shard);
    require!(line.key() == dispute.digest && shard >= dispute.first, SettleError::NotAnAnswer);
    dispute.first = shard.checked_add(1).ok_or(SettleError::Overflow)?;
    dispute.mark = dispute.mark.checked_add(line.credits_nc).ok_or(SettleError::Overflow)?;
    let complete = dispute.mark >= dispute.amount_nc;
    dispute.advance(if complete { DisputeState::Answered } else { DisputeState::Open })?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
