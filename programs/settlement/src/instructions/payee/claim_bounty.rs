//! Pays a curator what a bounty adds to its share of one line. The curator signs, or the bounty's gateway, which has the
//! lines and nothing to gain: whoever signs chooses the order, and a line before one that was paid pays no more.

use anchor_lang::prelude::*;
use coin::authority::pause;
use market::state::{Party, Role, SplitSnapshot};
use waybill_mechanism::{amount::pricing_epoch, batch::claim_amount, merkle::PROOF_NODE_LEN, message::Line};

use crate::{
    error::SettleError,
    events::BountyPaid,
    instructions::crank::claim_line::{CURATOR, prove_line},
    report::report,
    state::{Batch, BatchState, Bounty, Earnings, LinePlace, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ClaimBountyArgs {
    /// The settlement leaf.
    pub line: [u8; Line::LEN],
    /// Siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
}

#[event_cpi]
#[derive(Accounts)]
pub struct ClaimBounty<'info> {
    pub signer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub batch: Box<Account<'info, Batch>>,
    pub snapshot: Box<Account<'info, SplitSnapshot>>,
    #[account(mut, constraint = [bounty.curator, bounty.gateway].contains(signer.key) @ SettleError::Unauthorized)]
    pub bounty: Box<Account<'info, Bounty>>,
    #[account(constraint = party.owner == bounty.curator && party.role == Role::Curator @ SettleError::AccountMismatch)]
    pub party: Box<Account<'info, Party>>,
    #[account(
        mut,
        constraint = earnings.owner == bounty.curator && earnings.mint == config.mint @ SettleError::PayeeMismatch
    )]
    pub earnings: Box<Account<'info, Earnings>>,
}

impl ClaimBounty<'_> {
    /// `bounty` is `signer`'s, `party` and `earnings` are its curator's; `batch` is past its challenge and
    /// commits to the line, `snapshot` prices it.
    fn validate(&self, line: &Line) -> Result<()> {
        self.config.require_running(pause::CLAIMS)?;
        require!(!self.party.banned && self.party.stake > 0, SettleError::NotStaked);
        require!(self.batch.state != BatchState::Posted, SettleError::BatchState);
        // A gateway that was caught in this batch brings nobody a bounty.
        require!(self.batch.forfeited_nc == 0, SettleError::BountyForfeit);
        require!(line.epoch == self.batch.epoch && line.index < self.batch.n_lines, SettleError::LineMismatch);
        require!(
            self.batch.gateway == self.bounty.gateway
                && line.container == self.bounty.container
                && line.referrer == self.bounty.curator.to_bytes(),
            SettleError::BountyMismatch
        );
        require!(
            self.snapshot.container == line.container
                && self.snapshot.stage == line.stage
                && self.snapshot.pricing_epoch == pricing_epoch(line.epoch),
            SettleError::SnapshotMismatch
        );
        require!(self.snapshot.bps[CURATOR] >= self.bounty.terms.min_bps, SettleError::BountyShare);
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<ClaimBounty>, args: ClaimBountyArgs) -> Result<()> {
    let line = Line::from_bytes(&args.line).map_err(|_| SettleError::MalformedMessage)?;
    let accounts = &mut *ctx.accounts;
    accounts.validate(&line)?;
    let batch = &accounts.batch;
    prove_line(batch, &args.line, &line, &args.proof)?;
    let aic = claim_amount(batch.sum_nc, batch.aic, line.credits_nc).map_err(SettleError::from)?;
    let place = LinePlace { epoch: line.epoch, shard: batch.shard, index: line.index };
    let amount_aic = accounts.bounty.pay(place, aic)?;
    accounts.earnings.credit(amount_aic)?;
    accounts.earnings.invariant()?;
    let seq = accounts.bounty.next_seq()?;
    accounts.bounty.invariant()?;
    let event = BountyPaid {
        bounty: accounts.bounty.key(),
        curator: accounts.bounty.curator,
        batch: accounts.batch.key(),
        index: line.index,
        amount_aic,
        balance_aic: accounts.bounty.amount_aic,
        seq,
    };
    report(&ctx.accounts.event_authority, &event)
}
