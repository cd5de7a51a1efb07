//! Pays a block of lines of a final batch at once: a whole batch, or as many neighbours as a power of two. What the
//! accounts say of a line is not told again, and the lines have one proof together, so that one transaction holds many.

use anchor_lang::prelude::*;
use coin::authority::pause;
use market::state::{Operator, Shares};
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle::{self, Node, PROOF_NODE_LEN},
    message::{Line, NO_REFERRER},
};

use super::claim_line::Payout;
use crate::{
    constants::MAX_CLAIMED_LINES,
    error::SettleError,
    report::report,
    state::{Batch, BatchState, SettleTerms},
};

/// What the accounts do not say of a line.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedLine {
    /// Receipts it covers.
    pub n_receipts: u32,
    pub credits_nc: u64,
    /// Curator who brought the consumer, if somebody did.
    pub referrer: Option<Pubkey>,
}

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ClaimLinesArgs {
    /// Index of the first line.
    pub first: u32,
    /// Index of its first receipt; each line's receipts follow those of the line before.
    pub first_receipt: u32,
    /// At most 16 lines in order: as many as a power of two that divides `first`, or all from there to the last.
    pub lines: Vec<ClaimedLine>,
    /// Siblings above the block, bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

/// Remaining accounts: `SplitSnapshot` and `Node` of each line in order, then the payees of each as for `claim_line`.
#[event_cpi]
#[derive(Accounts)]
pub struct ClaimLines<'info> {
    pub config: Account<'info, SettleTerms>,
    #[account(mut, dup)]
    pub batch: Box<Account<'info, Batch>>,
}

/// A line, with what prices it and who served it.
struct Claim<'info> {
    line: Line,
    shares: Box<Account<'info, Shares>>,
    node: Box<Account<'info, Operator>>,
}

impl ClaimLines<'_> {
    /// `batch` is final. A snapshot or node of another line needs no check: the line it makes is not in the tree.
    fn validate(&self, args: &ClaimLinesArgs) -> Result<()> {
        self.config.require_running(pause::CLAIMS)?;
        require!(self.batch.state == BatchState::Final, SettleError::BatchState);
        require!((1..=MAX_CLAIMED_LINES).contains(&args.lines.len()), SettleError::LineMismatch);
        Ok(())
    }

    /// The lines, made of what was told and of the accounts that come next.
    fn claims<'info>(&self, args: &ClaimLinesArgs, payout: &mut Payout<'info>) -> Result<Vec<Claim<'info>>> {
        let mut claims = Vec::with_capacity(args.lines.len());
        let (mut index, mut first_receipt) = (args.first, args.first_receipt);
        for told in &args.lines {
            let shares = Box::new(Account::<Shares>::try_from(payout.next()?)?);
            let node = Box::new(Account::<Operator>::try_from(payout.next()?)?);
            require!(shares.pricing_epoch == pricing_epoch(self.batch.epoch), SettleError::SnapshotMismatch);
            let line = Line {
                stage: shares.stage,
                epoch: self.batch.epoch,
                index,
                container: shares.container,
                worker: node.worker.to_bytes(),
                referrer: told.referrer.map_or(NO_REFERRER, |referrer| referrer.to_bytes()),
                first_receipt,
                n_receipts: told.n_receipts,
                credits_nc: told.credits_nc,
            };
            claims.push(Claim { line, shares, node });
            index = index.checked_add(1).ok_or(SettleError::Overflow)?;
            first_receipt = first_receipt.checked_add(told.n_receipts).ok_or(SettleError::Overflow)?;
        }
        Ok(claims)
    }

    /// The lines are the leaves of the batch from the first on, each worth its credits.
    fn prove(&self, args: &ClaimLinesArgs, claims: &[Claim<'_>]) -> Result<()> {
        let root = Node { hash: self.batch.lines_root, sum: self.batch.sum_nc };
        let leaves = claims.iter().map(|claim| merkle::leaf(&claim.line.to_bytes(), claim.line.credits_nc)).collect();
        let proof: Vec<Node> = args.proof.iter().map(Node::from_bytes).collect();
        merkle::verify_block(&root, self.batch.n_lines, args.first, leaves, &proof)
            .map_err(|_| SettleError::InvalidProof.into())
    }
}

#[access_control(ctx.accounts.validate(&args))]
pub(crate) fn handler<'info>(ctx: Context<'info, ClaimLines<'info>>, args: ClaimLinesArgs) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    let mut payout = Payout::new(ctx.remaining_accounts, &accounts.batch);
    let claims = accounts.claims(&args, &mut payout)?;
    accounts.prove(&args, &claims)?;
    for Claim { line, shares, node } in &claims {
        let event = payout.pay(&mut accounts.batch, shares, node, line)?;
        report(&accounts.event_authority, &event)?;
    }
    payout.require_empty()
}
