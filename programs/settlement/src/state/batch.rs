//! One shard of a gateway's epoch: the two Merkle-sum roots it committed to, what it is worth and what is claimed.
//! The claim bitmap follows the header in the same account, one bit per line.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    merkle::{self, Node, PROOF_NODE_LEN},
    message::{Line, Receipt},
};

use crate::{constants::MAX_LINES, error::SettleError};

/// One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// Its AIC is in the batch vault; nothing is claimable.
    Posted,
    /// Its AIC is in the pool; lines are claimable.
    Final,
    /// Fees and remainder have left; nothing is owed.
    Swept,
}

/// `["batch", gateway, epoch, shard]`: this header, then `ceil(n_lines / 8)` bytes of claim bitmap.
#[account]
#[derive(InitSpace, Debug)]
pub struct Batch {
    pub version: u8,
    pub bump: u8,
    pub state: BatchState,
    pub vault_bump: u8,
    pub gateway: Pubkey,
    pub mint: Pubkey,
    pub epoch: u32,
    pub shard: u16,
    /// Posted after its window: the gateway was late.
    pub late: bool,
    pub receipts_root: [u8; 32],
    pub lines_root: [u8; 32],
    pub n_receipts: u32,
    pub n_lines: u32,
    /// Sum of both trees, in nc.
    pub sum_nc: u64,
    /// What the batch is worth, in AIC base units.
    pub aic: u64,
    /// sha256 of the data (receipts and lines) that the gateway publishes.
    pub data_hash: [u8; 32],
    pub posted_slot: u64,
    pub posted_at: i64,
    /// Unix second of finality; 0 before.
    pub final_at: i64,
    pub claimed_lines: u32,
    pub claimed_nc: u64,
    /// Paid out of the batch so far, fee and burn included.
    pub claimed_aic: u64,
    /// Protocol fee of the claimed lines, divided at the sweep.
    pub fee_aic: u64,
    /// Curator shares of claimed lines without a referrer, burned at the sweep.
    pub burn_aic: u64,
    pub seq: u64,
    pub rent_payer: Pubkey,
    /// Decides which receipts are audited; zero before the draw.
    pub seed: [u8; 32],
    /// The slot whose hash made the seed; 0 before the draw.
    pub seed_slot: u64,
    /// How many receipts are drawn.
    pub draws: u16,
    /// Audits without an outcome. The batch is not final before there are none.
    pub open_audits: u16,
    /// Disputes without an outcome. The batch is not final before there are none.
    pub open_disputes: u16,
    /// Credits of lines that are void: nobody is paid for them, their AIC is swept to insurance.
    pub forfeited_nc: u64,
    pub _reserved: [u8; 10],
}

impl Batch {
    /// Bytes of the account without the bitmap.
    pub const HEADER: usize = 8 + Self::INIT_SPACE;

    /// Bytes of the account of a batch of `n_lines` lines. Bounded: an absurd count reserves no huge account.
    pub const fn space(n_lines: u32) -> usize {
        let n = if n_lines > MAX_LINES { MAX_LINES } else { n_lines };
        Self::HEADER + n.div_ceil(8) as usize
    }

    /// Whether line `index` is claimed, read from the raw account.
    pub fn is_claimed(data: &[u8], index: u32) -> Result<bool> {
        let byte = data.get(Self::byte_of(index)).ok_or(SettleError::LineMismatch)?;
        Ok(byte & Self::bit_of(index) != 0)
    }

    /// Sets the bit of line `index` in the raw account; fails when it is set already.
    pub fn mark_claimed(data: &mut [u8], index: u32) -> Result<()> {
        let byte = data.get_mut(Self::byte_of(index)).ok_or(SettleError::LineMismatch)?;
        require!(*byte & Self::bit_of(index) == 0, SettleError::AlreadyClaimed);
        *byte |= Self::bit_of(index);
        Ok(())
    }

    const fn byte_of(index: u32) -> usize {
        Self::HEADER + (index / 8) as usize
    }

    const fn bit_of(index: u32) -> u8 {
        1 << (index % 8)
    }

    /// Records one claimed line: `aic` in all, of which `fee_aic` and `burn_aic` stay for the sweep.
    pub fn record_claim(&mut self, line_nc: u64, aic: u64, fee_aic: u64, burn_aic: u64) -> Result<()> {
        self.claimed_lines = self.claimed_lines.checked_add(1).ok_or(SettleError::Overflow)?;
        self.claimed_nc = self.claimed_nc.checked_add(line_nc).ok_or(SettleError::Overflow)?;
        self.claimed_aic = self.claimed_aic.checked_add(aic).ok_or(SettleError::Overflow)?;
        self.fee_aic = self.fee_aic.checked_add(fee_aic).ok_or(SettleError::Overflow)?;
        self.burn_aic = self.burn_aic.checked_add(burn_aic).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// Voids line `index`, worth `credits_nc`: it counts as claimed and pays nobody. Fails when it was void already.
    /// `data` is the raw account, for the bit.
    pub fn void_line(&mut self, data: &mut [u8], index: u32, credits_nc: u64) -> Result<()> {
        require!(self.state == BatchState::Posted, SettleError::BatchState);
        require!(index < self.n_lines, SettleError::LineMismatch);
        Self::mark_claimed(data, index)?;
        self.claimed_lines = self.claimed_lines.checked_add(1).ok_or(SettleError::Overflow)?;
        self.claimed_nc = self.claimed_nc.checked_add(credits_nc).ok_or(SettleError::Overflow)?;
        self.forfeited_nc = self.forfeited_nc.checked_add(credits_nc).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// Whether something about the batch can still be challenged at `now`.
    pub fn require_challengeable(&self, now: i64, challenge_s: u32) -> Result<()> {
        require!(self.state == BatchState::Posted, SettleError::BatchState);
        let open_until = self.posted_at.checked_add(i64::from(challenge_s)).ok_or(SettleError::Overflow)?;
        require!(now < open_until, SettleError::ChallengeOver);
        Ok(())
    }

    /// One more dispute waits for its outcome.
    pub fn open_dispute(&mut self) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// A dispute has its outcome.
    pub fn close_dispute(&mut self) -> Result<()> {
        self.open_disputes = self.open_disputes.checked_sub(1).ok_or(SettleError::InvariantBroken)?;
        Ok(())
    }

    /// The line that `bytes` are, proven to be a leaf of this batch at its own index, worth its credits.
    pub fn line(&self, bytes: &[u8], proof: &[[u8; PROOF_NODE_LEN]]) -> Result<Line> {
        let line = Line::from_bytes(bytes).map_err(|_| SettleError::MalformedMessage)?;
        require!(line.epoch == self.epoch && line.index < self.n_lines, SettleError::LineMismatch);
        let root = Node { hash: self.lines_root, sum: self.sum_nc };
        let leaf = merkle::leaf(bytes, line.credits_nc);
        let proof: Vec<Node> = proof.iter().map(Node::from_bytes).collect();
        merkle::verify(&root, self.n_lines, line.index, &leaf, &proof).map_err(|_| SettleError::InvalidProof)?;
        Ok(line)
    }

    /// Checks that `receipt`, encoded as `bytes`, is the leaf at `index`; returns the sum of the leaves before it.
    pub fn prove_receipt(
        &self,
        index: u32,
        bytes: &[u8],
        receipt: &Receipt,
        proof: &[[u8; PROOF_NODE_LEN]],
    ) -> Result<u64> {
        // Both trees of a batch have the same sum.
        let root = Node { hash: self.receipts_root, sum: self.sum_nc };
        let leaf = merkle::leaf(bytes, receipt.price_nc);
        let proof: Vec<Node> = proof.iter().map(Node::from_bytes).collect();
        merkle::verify(&root, self.n_receipts, index, &leaf, &proof).map_err(|_| SettleError::InvalidProof.into())
    }

    /// One audit has its outcome and needs nothing more of the batch.
    pub fn end_audit(&mut self) -> Result<()> {
        self.open_audits = self.open_audits.checked_sub(1).ok_or(SettleError::InvariantBroken)?;
        Ok(())
    }

    /// Ends the challenge window.
    pub fn finalize(&mut self, now: i64, challenge_s: u32) -> Result<()> {
        require!(self.state == BatchState::Posted, SettleError::BatchState);
        let open_until = self.posted_at.checked_add(i64::from(challenge_s)).ok_or(SettleError::Overflow)?;
        require!(now >= open_until, SettleError::ChallengeOpen);
        require!(self.open_audits == 0 && self.open_disputes == 0, SettleError::CasesOpen);
        self.state = BatchState::Final;
        self.final_at = now;
        Ok(())
    }

    /// Ends the claims and returns the remainder: what rounding and unclaimed lines left, in AIC base units.
    pub fn sweep(&mut self, now: i64, claim_window_s: u32) -> Result<u64> {
        require!(self.state == BatchState::Final, SettleError::BatchState);
        let open_until = self.final_at.checked_add(i64::from(claim_window_s)).ok_or(SettleError::Overflow)?;
        require!(self.claimed_lines == self.n_lines || now >= open_until, SettleError::ClaimsOpen);
        self.state = BatchState::Swept;
        self.aic.checked_sub(self.claimed_aic).ok_or_else(|| SettleError::InvariantBroken.into())
    }

    /// The number of the next event about this batch.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        let kept = self.fee_aic.checked_add(self.burn_aic).ok_or(SettleError::Overflow)?;
        require!(
            self.claimed_lines <= self.n_lines
                && self.claimed_nc <= self.sum_nc
                && self.forfeited_nc <= self.claimed_nc
                && self.claimed_aic <= self.aic
                && kept <= self.claimed_aic
                && (self.claimed_lines < self.n_lines || self.claimed_nc == self.sum_nc)
                && (self.state == BatchState::Posted) == (self.final_at == 0),
            SettleError::InvariantBroken
        );
        Ok(())
    }
}
