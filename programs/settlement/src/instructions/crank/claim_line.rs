//! Pays one line of a final batch to its payees, in the shares that the market froze. Nobody signs: the roots, the
//! snapshot and the line decide everything.

use anchor_lang::prelude::*;
use coin::authority::pause;
use market::state::{Operator, Role, Shares, Standing};
use waybill_mechanism::{
    amount::pricing_epoch,
    batch::claim_amount,
    merkle::{self, PROOF_NODE_LEN},
    message::{Line, NO_REFERRER},
    stack::split_amount,
};

use crate::{
    error::SettleError,
    events::LineClaimed,
    report::report,
    state::{Batch, BatchState, Earnings, SettleTerms},
};

/// Positions in a split.
const VENDOR: usize = 0;
const OEM: usize = 1;
const PROVIDER: usize = 2;
pub(crate) const CURATOR: usize = 3;
const WEAVER: usize = 4;
const FEE: usize = 5;

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ClaimLineArgs {
    /// The settlement leaf.
    pub line: [u8; Line::LEN],
    /// Siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

/// Remaining accounts, in this order: `Earnings` (writable) of the vendor (of a derived model: of its royalty table), of the OEM if there is one, of the provider,
/// of the weaver; with a referrer its `Party(Curator)` address, and, if that party is active, the referrer's `Earnings`.
/// One owner may be several payees.
#[event_cpi]
#[derive(Accounts)]
pub struct ClaimLine<'info> {
    pub config: Account<'info, SettleTerms>,
    #[account(mut, dup)]
    pub batch: Box<Account<'info, Batch>>,
    pub snapshot: Box<Account<'info, Shares>>,
    pub node: Box<Account<'info, Operator>>,
}

impl ClaimLine<'_> {
    /// `batch` is final and commits to the line; `snapshot` prices it; `node` is its worker. The market creates each
    /// of these accounts at the one address of its fields, so equal fields are the right account.
    fn validate(&self, line: &Line) -> Result<()> {
        self.config.require_running(pause::CLAIMS)?;
        require!(self.batch.state == BatchState::Final, SettleError::BatchState);
        require!(line.epoch == self.batch.epoch && line.index < self.batch.n_lines, SettleError::LineMismatch);
        require!(
            self.snapshot.container == line.container
                && self.snapshot.stage == line.stage
                && self.snapshot.pricing_epoch == pricing_epoch(line.epoch),
            SettleError::SnapshotMismatch
        );
        require!(self.node.worker.to_bytes() == line.worker, SettleError::NodeMismatch);
        Ok(())
    }
}

/// The line is the leaf of the batch at its index, worth its credits.
pub(crate) fn prove_line(batch: &Batch, bytes: &[u8], line: &Line, proof: &[[u8; PROOF_NODE_LEN]]) -> Result<()> {
    let root = merkle::Node { hash: batch.lines_root, sum: batch.sum_nc };
    let leaf = merkle::leaf(bytes, line.credits_nc);
    let proof: Vec<merkle::Node> = proof.iter().map(merkle::Node::from_bytes).collect();
    merkle::verify(&root, batch.n_lines, line.index, &leaf, &proof).map_err(|_| SettleError::InvalidProof)?;
    Ok(())
}

pub(crate) fn handler<'info>(ctx: Context<'info, ClaimLine<'info>>, args: ClaimLineArgs) -> Result<()> {
    let line = Line::from_bytes(&args.line).map_err(|_| SettleError::MalformedMessage)?;
    let accounts = &mut *ctx.accounts;
    accounts.validate(&line)?;
    prove_line(&accounts.batch, &args.line, &line, &args.proof)?;
    let mut payout = Payout::new(ctx.remaining_accounts, &accounts.batch);
    let event = payout.pay(&mut accounts.batch, &accounts.snapshot, &accounts.node, &line)?;
    payout.require_empty()?;
    report(&ctx.accounts.event_authority, &event)
}

/// Walks the remaining accounts. Each credit is written before the next is read, so that an account which appears twice
/// is credited twice.
pub(crate) struct Payout<'info> {
    rest: &'info [AccountInfo<'info>],
    mint: Pubkey,
}

impl<'info> Payout<'info> {
    pub(crate) fn new(rest: &'info [AccountInfo<'info>], batch: &Batch) -> Self {
        Self { rest, mint: batch.mint }
    }

    pub(crate) fn next(&mut self) -> Result<&'info AccountInfo<'info>> {
        let (first, rest) = self.rest.split_first().ok_or(SettleError::PayeeMismatch)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn require_empty(&self) -> Result<()> {
        require!(self.rest.is_empty(), SettleError::PayeeMismatch);
        Ok(())
    }

    /// Pays a proven line, whose payees come next, and records it. Returns the event to report.
    pub(crate) fn pay(
        &mut self,
        batch: &mut Account<'info, Batch>,
        snapshot: &Shares,
        node: &Operator,
        line: &Line,
    ) -> Result<LineClaimed> {
        Batch::mark_claimed(&mut batch.to_account_info().try_borrow_mut_data()?, line.index)?;

        // Rounds down; what all lines together leave is the batch's remainder.
        let aic = claim_amount(batch.sum_nc, batch.aic, line.credits_nc).map_err(SettleError::from)?;
        // Each share rounds down and the provider takes the rest.
        let parts = split_amount(aic, &snapshot.bps);
        let whole = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(*part));
        require!(whole == Some(aic), SettleError::InvariantBroken);

        let payees = snapshot.payees;
        self.credit(&payees.vendor, parts[VENDOR])?;
        if payees.oem == Pubkey::default() {
            require!(parts[OEM] == 0, SettleError::SnapshotMismatch);
        } else {
            self.credit(&payees.oem, parts[OEM])?;
        }
        self.credit(&node.operator, parts[PROVIDER])?;
        self.credit(&payees.weaver, parts[WEAVER])?;
        let referrer = Pubkey::new_from_array(line.referrer);
        let referred = line.referrer != NO_REFERRER && self.is_active_curator(&referrer)?;
        if referred {
            self.credit(&referrer, parts[CURATOR])?;
        }

        let burn_aic = if referred { 0 } else { parts[CURATOR] };
        batch.record_claim(line.credits_nc, aic, parts[FEE], burn_aic)?;
        let seq = batch.next_seq()?;
        batch.invariant()?;
        Ok(LineClaimed {
            batch: batch.key(),
            index: line.index,
            container: line.container,
            stage: line.stage,
            worker: node.worker,
            referrer,
            credits_nc: line.credits_nc,
            parts_aic: parts,
            burned: !referred,
            claimed_lines: batch.claimed_lines,
            claimed_aic: batch.claimed_aic,
            seq,
        })
    }

    /// Credits the next account, which must be the earnings of `owner`.
    fn credit(&mut self, owner: &Pubkey, amount_aic: u64) -> Result<()> {
        Earnings::credit_account(self.next()?, owner, &self.mint, amount_aic)
    }

    /// Whether `referrer` is a curator with stake. The next account is its party's address, existing or not: a cranker
    /// cannot deny a curator its share by leaving the party out, nor can a missing party keep the others from theirs.
    fn is_active_curator(&mut self, referrer: &Pubkey) -> Result<bool> {
        let info = self.next()?;
        if info.owner != &market::ID {
            let (address, _) = market::seeds::find_party(referrer, Role::Curator);
            require_keys_eq!(*info.key, address, SettleError::PayeeMismatch);
            return Ok(false);
        }
        let party = Account::<Standing>::try_from(info)?;
        require!(party.owner == *referrer && party.role == Role::Curator, SettleError::PayeeMismatch);
        Ok(!party.banned && party.stake > 0)
    }
}
