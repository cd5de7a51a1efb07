//! Proves D6: the ed25519 instruction before verifies a second signature of the accused, over another message with the
//! same key fields.

use anchor_lang::prelude::*;
use waybill_mechanism::dispute::{message_hash, message_key};

use super::open_equivocation::signed_key;
use crate::{
    error::SettleError,
    events::EvidenceShown,
    state::{Dispute, DisputeKind, DisputeState, SettleConfig},
};

#[derive(Accounts)]
pub struct ProveEquivocation<'info> {
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(mut, has_one = challenger @ SettleError::NotTheChallenger)]
    pub dispute: Box<Account<'info, Dispute>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
}

impl ProveEquivocation<'_> {
    /// `dispute` is the challenger's; the proof is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::Equivocation, SettleError::DisputeState);
        self.dispute.require_open(now)
    }
}

/// `first` is the message that the dispute was opened with.
#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<ProveEquivocation>, first: Vec<u8>) -> Result<()> {
    let accounts = ctx.accounts;
    let dispute = &mut accounts.dispute;
    let first_hash = message_hash(&first);
    require!(first_hash == dispute.digest, SettleError::NoFault);
    let config = &accounts.config;
    let first_key =
        message_key(&dispute.target.to_bytes(), &config.domain, &first).ok_or(SettleError::MalformedMessage)?;
    let (key, hash) = signed_key(&accounts.instructions, config, &dispute.target)?;
    require!(key == first_key && hash != first_hash, SettleError::NoFault);
    dispute.advance(DisputeState::Proven)?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
