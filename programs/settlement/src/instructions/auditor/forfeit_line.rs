//! Voids the line that holds a receipt which failed its audit: nobody is paid for it. Anyone; the line is proven.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    merkle::{self, PROOF_NODE_LEN},
    message::Line,
};

use crate::{
    error::SettleError,
    events::LineForfeited,
    report::report,
    state::{Audit, Batch, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ForfeitLineArgs {
    /// The settlement leaf that covers the receipt.
    pub line: [u8; Line::LEN],
    /// Siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[event_cpi]
#[derive(Accounts)]
pub struct ForfeitLine<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut)]
    pub batch: Box<Account<'info, Batch>>,
    #[account(mut, has_one = batch @ SettleError::AccountMismatch)]
    pub audit: Box<Account<'info, Audit>>,
}

impl ForfeitLine<'_> {
    /// `batch` is the audit's and commits to the line; the line is the worker's and covers the receipt.
    fn validate(&self, line: &Line) -> Result<()> {
        self.config.require_running(coin::authority::pause::DISPUTES)?;
        require!(self.audit.convicts(), SettleError::NothingToPunish);
        require!(!self.audit.line_done, SettleError::AlreadyDone);
        let offset = self.audit.receipt.checked_sub(line.first_receipt);
        require!(
            line.epoch == self.batch.epoch
                && line.worker == self.audit.worker.to_bytes()
                && offset.is_some_and(|offset| offset < line.n_receipts),
            SettleError::LineMismatch
        );
        Ok(())
    }

    fn prove(&self, bytes: &[u8], line: &Line, proof: &[[u8; PROOF_NODE_LEN]]) -> Result<()> {
        let root = merkle::Node { hash: self.batch.lines_root, sum: self.batch.sum_nc };
        let leaf = merkle::leaf(bytes, line.credits_nc);
        let proof: Vec<merkle::Node> = proof.iter().map(merkle::Node::from_bytes).collect();
        merkle::verify(&root, self.batch.n_lines, line.index, &leaf, &proof).map_err(|_| SettleError::InvalidProof)?;
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<ForfeitLine>, args: ForfeitLineArgs) -> Result<()> {
    let line = Line::from_bytes(&args.line).map_err(|_| SettleError::MalformedMessage)?;
    let accounts = &mut *ctx.accounts;
    accounts.validate(&line)?;
    accounts.prove(&args.line, &line, &args.proof)?;
    let info = accounts.batch.to_account_info();
    let batch = &mut accounts.batch;
    // Another audit or a dispute may have voided it before.
    let already = Batch::is_claimed(&info.try_borrow_data()?, line.index)?;
    if !already {
        batch.void_line(&mut info.try_borrow_mut_data()?, line.index, line.credits_nc)?;
    }
    batch.end_audit()?;
    let batch_seq = batch.next_seq()?;
    batch.invariant()?;
    let audit = &mut accounts.audit;
    audit.line_done = true;
    let seq = audit.next_seq()?;
    audit.invariant()?;
    let event = LineForfeited {
        audit: audit.key(),
        batch: audit.batch,
        worker: audit.worker,
        index: line.index,
        credits_nc: if already { 0 } else { line.credits_nc },
        forfeited_nc: accounts.batch.forfeited_nc,
        batch_seq,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
