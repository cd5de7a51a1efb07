//! Proves D9: the receipt that was shown costs more than its frozen snapshot allows, or was paid under a grant that names
//! another referrer. With the order behind it, the consumer is known and is the one who was harmed.

use anchor_lang::prelude::*;
use market::state::SplitSnapshot;
use waybill_mechanism::{
    amount::pricing_epoch,
    dispute::{Place, overcharge_nc, shown_leaf},
    message::{NO_REFERRER, Order, Receipt, flags, line_key},
};

use crate::{
    constants::GRANT_NOTICE_S,
    error::SettleError,
    events::EvidenceShown,
    state::{Batch, Channel, Dispute, DisputeKind, DisputeState, SettleConfig},
};

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ProvePriceArgs {
    /// The receipt that the dispute names.
    pub receipt: [u8; Receipt::LEN],
    /// The referrer in its line key.
    pub referrer: [u8; 32],
    /// The order that it served, together with its channel's account.
    pub order: Option<[u8; Order::LEN]>,
}

#[derive(Accounts)]
pub struct ProvePrice<'info> {
    pub challenger: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    #[account(address = dispute.target @ SettleError::AccountMismatch)]
    pub batch: Box<Account<'info, Batch>>,
    /// Prices the receipt's container and stage in the batch's pricing epoch.
    pub snapshot: Box<Account<'info, SplitSnapshot>>,
    /// The order's channel, when an order is shown.
    #[account(constraint = channel.gateway == batch.gateway @ SettleError::AccountMismatch)]
    pub channel: Option<Box<Account<'info, Channel>>>,
    #[account(mut, has_one = challenger @ SettleError::NotTheChallenger)]
    pub dispute: Box<Account<'info, Dispute>>,
}

impl ProvePrice<'_> {
    /// `batch` is what the challenger's `dispute` is about, its leaf was shown, `channel` is the batch's gateway's; the
    /// proof is still in time.
    fn validate(&self, now: i64) -> Result<()> {
        let ready = self.dispute.kind == DisputeKind::PriceFault && self.dispute.step == 1;
        require!(ready, SettleError::DisputeState);
        self.dispute.require_open(now)
    }

    /// The leaf that was shown, of this batch and priced by `snapshot`.
    fn receipt(&self, args: &ProvePriceArgs) -> Result<Receipt> {
        let receipt = Receipt::from_bytes(&args.receipt).map_err(|_| SettleError::MalformedMessage)?;
        let place = Place { batch: self.batch.key().to_bytes(), index: self.dispute.index };
        require!(shown_leaf(&receipt.hash(), &place) == self.dispute.digest, SettleError::NoFault);
        let key = line_key(&self.snapshot.container, self.snapshot.stage, &receipt.worker, &args.referrer);
        require!(
            receipt.line_key == key && self.snapshot.pricing_epoch == pricing_epoch(self.batch.epoch),
            SettleError::SnapshotMismatch
        );
        Ok(receipt)
    }

    /// The channel whose order the receipt served, if one is shown.
    fn channel(&self, args: &ProvePriceArgs, receipt: &Receipt) -> Result<Option<&Channel>> {
        match (&args.order, &self.channel) {
            (None, None) => Ok(None),
            (Some(order), Some(channel)) => {
                let order = Order::from_bytes(order).map_err(|_| SettleError::MalformedMessage)?;
                require!(
                    order.hash() == receipt.request_hash
                        && order.domain == self.config.domain
                        && order.channel == channel.key().to_bytes(),
                    SettleError::AccountMismatch
                );
                let channel: &Channel = channel;
                Ok(Some(channel))
            }
            _ => err!(SettleError::AccountMismatch),
        }
    }
}

/// Whether a receipt was paid under a grant of `channel` that names another referrer than the receipt's, or none.
///
/// A grant counts from [`GRANT_NOTICE_S`] after it was given: before, the gateway may not have seen it.
pub fn is_misreferred(channel: &Channel, receipt: &Receipt, referrer: &[u8; 32]) -> bool {
    let known_from_s = channel.granted_at.saturating_add(GRANT_NOTICE_S);
    let known = u64::try_from(known_from_s).is_ok_and(|from_s| from_s <= receipt.t_start_ms / 1_000);
    receipt.flags & flags::DELEGATED != 0
        && known
        && *referrer != NO_REFERRER
        && *referrer != channel.grant.referrer.to_bytes()
}

#[access_control(ctx.accounts.validate(Clock::get()?.unix_timestamp))]
pub(crate) fn handler(ctx: Context<ProvePrice>, args: ProvePriceArgs) -> Result<()> {
    let accounts = ctx.accounts;
    let receipt = Box::new(accounts.receipt(&args)?);
    let channel = accounts.channel(&args, &receipt)?;
    let excess_nc = overcharge_nc(&receipt, accounts.snapshot.price_nc);
    let misreferred = channel.is_some_and(|channel| is_misreferred(channel, &receipt, &args.referrer));
    require!(excess_nc > 0 || misreferred, SettleError::NoFault);
    // Zeros: nobody is known to be harmed, the insurance stands in.
    let harmed = channel.map_or([0; 32], |channel| channel.consumer.to_bytes());

    let dispute = &mut accounts.dispute;
    dispute.amount_nc = excess_nc;
    dispute.digest = harmed;
    dispute.advance(DisputeState::Proven)?;
    let seq = dispute.next_seq()?;
    dispute.invariant()?;
    emit!(EvidenceShown { dispute: dispute.key(), step: dispute.step, state: dispute.state, seq });
    Ok(())
}
