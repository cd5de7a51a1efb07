//! Proves D5: the two receipts that were shown cannot both be honest leaves of one epoch.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    dispute::{Place, order_fault, shown_leaf, shown_pair},
    message::Receipt,
};

use crate::{
    error::SettleError,
    events::EvidenceShown,
    state::{Dispute, DisputeKind, DisputeState},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ProveOrderArgs {
    /// The receipt that the dispute names.
    pub receipt: [u8; Receipt::LEN],
    /// The one that contradicts it.
    pub other: [u8; Receipt::LEN],
    /// Where the other one is.
    pub other_batch: Pubkey,
    pub other_index: u32,
}

#[derive(Accounts)]
pub struct ProveOrder<'info> {
    pub challenger: Signer<'info>,
    #[account(mut, has_one = challenger @ SettleError::NotTheChallenger)]
    pub dispute: Box<Account<'info, Dispute>>,
}

impl ProveOrder<'_> {
    /// `dispute` is the challenger's, both leaves were shown, and the proof is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        let ready = self.dispute.kind == DisputeKind::OrderFault && self.dispute.step == 2;
        require!(ready, SettleError::DisputeState);
        self.dispute.require_open(now)
    }
}

#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<ProveOrder>, args: ProveOrderArgs) -> Result<()> {
    let dispute = &mut ctx.accounts.dispute;
    let parse = |bytes: &[u8]| Receipt::from_bytes(bytes).map_err(|_| SettleError::MalformedMessage);
    let (receipt, other) = (Box::new(parse(&args.receipt)?), Box::new(parse(&args.other)?));
    let place = Place { batch: dispute.target.to_bytes(), index: dispute.index };
    let other_place = Place { batch: args.other_batch.to_bytes(), index: args.other_index };
    let shown = shown_pair(&shown_leaf(&receipt.hash(), &place), &shown_leaf(&other.hash(), &other_place));
    require!(shown == dispute.digest, SettleError::NoFault);
    // The dispute names either of two neighbours.
    let fault =
        order_fault(&receipt, &place, &other, &other_place) || order_fault(&other, &other_place, &receipt, &place);
    require!(fault, SettleError::NoFault);
    dispute.advance(DisputeState::Proven)?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
