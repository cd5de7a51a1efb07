//! Answers D2: the gateway shows the order of the nonce in question, and the ed25519 instruction before verifies a
//! registered worker's signature of a receipt that served it. Anyone.

use anchor_lang::prelude::*;
use market::state::Node;
use waybill_mechanism::message::{Order, Receipt};

use crate::{
    error::SettleError,
    events::EvidenceShown,
    signature,
    state::{Channel, Dispute, DisputeKind, DisputeState, SettleConfig},
};

#[derive(Accounts)]
pub struct RespondOvercharge<'info> {
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(address = dispute.target @ SettleError::AccountMismatch)]
    pub channel: Box<Account<'info, Channel>>,
    /// The worker that signed the receipt.
    pub node: Box<Account<'info, Node>>,
    #[account(mut)]
    pub dispute: Box<Account<'info, Dispute>>,
    /// CHECK: the instructions sysvar; its address is checked where it is read.
    pub instructions: UncheckedAccount<'info>,
}

impl RespondOvercharge<'_> {
    /// `channel` is what `dispute` is about; the answer is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        require!(self.dispute.kind == DisputeKind::Overcharge, SettleError::DisputeState);
        self.dispute.require_open(now)
    }

    /// The worker of `node` signed, in the instruction before, a receipt of this gateway for `order`.
    fn require_served(&self, order: &Order) -> Result<()> {
        let receipt = signature::with_preceding_ed25519(&self.instructions, |data| {
            let message = signature::signed_message::<{ Receipt::LEN }>(data, &self.node.worker)?;
            Ok(Box::new(Receipt::from_bytes(message).map_err(|_| SettleError::MalformedMessage)?))
        })?;
        require!(receipt.worker == self.node.worker.to_bytes(), SettleError::NodeMismatch);
        require!(
            receipt.domain == self.config.domain
                && receipt.gateway == self.channel.gateway.to_bytes()
                && receipt.request_hash == order.hash(),
            SettleError::NotAnAnswer
        );
        Ok(())
    }
}

/// `order` is the one with the nonce in question.
#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<RespondOvercharge>, order: [u8; Order::LEN]) -> Result<()> {
    let accounts = ctx.accounts;
    let order = Order::from_bytes(&order).map_err(|_| SettleError::MalformedMessage)?;
    require!(
        order.domain == accounts.config.domain
            && order.channel == accounts.channel.key().to_bytes()
            && order.nonce == accounts.dispute.mark,
        SettleError::NotAnAnswer
    );
    accounts.require_served(&order)?;
    let dispute = &mut accounts.dispute;
    dispute.advance(DisputeState::Answered)?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
