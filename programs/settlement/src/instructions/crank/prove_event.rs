//! Shows that a consumer's paid request came through a campaign's slot: the receipt in a final batch is sponsored, its
//! request names the auction, and the consumer's channel was a day old. The receipt and its request are rebuilt from
//! the accounts and the few fields that these do not know, because both in full would not fit one transaction.

use anchor_lang::prelude::*;
use coin::authority::pause;
use market::state::{Campaign, SlotAuction};
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle::{self, PROOF_NODE_LEN},
    message::{NO_REFERRER, Order, Receipt, Voucher, ctx_hash, flags, line_key},
    promo::seasoning_s,
};

use crate::{
    constants::VERSION,
    error::SettleError,
    events::EventProven,
    seeds,
    state::{Batch, BatchState, Channel, EventState, PromoEvent, SettleConfig},
};

/// How the request was paid for.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaidBy {
    /// An order of the gateway, under the channel's grant.
    Order,
    /// A voucher of the consumer: the fields that an order does not have.
    Voucher { acked_nc: u64, cum_nc: u64, expires: i64 },
}

/// Who brought the consumer. Most requests have nobody, or the curator of the grant, which need no key.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrer {
    Nobody,
    Grant,
    Key(Pubkey),
}

/// The fields of a receipt that no account knows; the names are [`Receipt`]'s.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptFields {
    pub flags: u8,
    pub det_class: u16,
    pub seq: u32,
    pub worker: [u8; 32],
    pub artifact: [u8; 32],
    pub input_hash: [u8; 32],
    pub output_hash: [u8; 32],
    pub evidence_hash: [u8; 32],
    pub units_in: u32,
    pub units_out: u32,
    pub price_nc: u64,
    pub cum_nc: u64,
    pub t_start_ms: u64,
    pub t_end_ms: u64,
}

#[derive(AnchorSerialize, AnchorDeserialize, Clone, Debug)]
pub struct ProveEventArgs {
    /// Position of the receipt in its tree.
    pub index: u32,
    /// Siblings bottom-up: hash, then sum.
    pub proof: Vec<[u8; PROOF_NODE_LEN]>,
    pub receipt: ReceiptFields,
    /// Stage of the container that served it.
    pub stage: u8,
    /// Nonce of the order or voucher.
    pub nonce: u64,
    /// The most the request could cost, nc.
    pub max_price_nc: u64,
    pub paid_by: PaidBy,
    pub referrer: Referrer,
}

#[derive(Accounts)]
pub struct ProveEvent<'info> {
    #[account(mut)]
    pub payer: Signer<'info>,
    pub config: Box<Account<'info, SettleConfig>>,
    pub batch: Box<Account<'info, Batch>>,
    pub channel: Box<Account<'info, Channel>>,
    pub campaign: Box<Account<'info, Campaign>>,
    pub auction: Box<Account<'info, SlotAuction>>,
    #[account(
        init,
        payer = payer,
        space = 8 + PromoEvent::INIT_SPACE,
        seeds = [seeds::PROMO_EVENT, campaign.key().as_ref(), channel.consumer.as_ref()],
        bump
    )]
    pub event: Box<Account<'info, PromoEvent>>,
    pub system_program: Program<'info, System>,
}

impl ProveEvent<'_> {
    /// `batch` is final and of the day and gateway; `channel` is with that gateway and old enough; `campaign` holds a
    /// slot of `auction`; `event` is new.
    fn validate(&self, receipt: &ReceiptFields) -> Result<()> {
        self.config.require_running(pause::PROMOTION)?;
        require!(self.batch.state != BatchState::Posted, SettleError::BatchState);
        require!(
            self.channel.gateway == self.batch.gateway && self.channel.mint == self.batch.mint,
            SettleError::AccountMismatch
        );
        require!(
            self.auction.day == pricing_epoch(self.batch.epoch)
                && self.auction.slots.iter().any(|slot| slot.campaign == self.campaign.key()),
            SettleError::SlotMismatch
        );
        require!(receipt.flags & flags::SPONSORED != 0 && receipt.price_nc > 0, SettleError::NotSponsored);
        let seasoned_at = self
            .channel
            .opened_at
            .checked_add(seasoning_s(self.config.epoch_s))
            .filter(|_| self.channel.opened_at > 0)
            .ok_or(SettleError::ChannelTooYoung)?;
        let started = i64::try_from(receipt.t_start_ms / 1_000).map_err(|_| SettleError::Overflow)?;
        require!(started >= seasoned_at, SettleError::ChannelTooYoung);
        Ok(())
    }

    fn referrer(&self, referrer: Referrer) -> [u8; 32] {
        match referrer {
            Referrer::Nobody => NO_REFERRER,
            Referrer::Grant => self.channel.grant.referrer.to_bytes(),
            Referrer::Key(key) => key.to_bytes(),
        }
    }

    /// Hash of the order or voucher: it names the campaign's container and, because it is sponsored, the auction.
    fn request_hash(&self, args: &ProveEventArgs, referrer: &[u8; 32]) -> [u8; 32] {
        let slot = self.auction.key().to_bytes();
        let (domain, channel, nonce) = (self.config.domain, self.channel.key().to_bytes(), args.nonce);
        let ctx_hash =
            ctx_hash(&self.campaign.container, &args.receipt.input_hash, args.max_price_nc, referrer, Some(&slot));
        match args.paid_by {
            PaidBy::Order => Order { domain, channel, nonce, max_price_nc: args.max_price_nc, ctx_hash }.hash(),
            PaidBy::Voucher { acked_nc, cum_nc, expires } => {
                Voucher { domain, channel, nonce, acked_nc, cum_nc, expires, ctx_hash }.hash()
            }
        }
    }

    /// The whole receipt is the leaf of the batch at its index.
    fn prove(&self, args: &ProveEventArgs, referrer: &[u8; 32]) -> Result<()> {
        let fields = &args.receipt;
        let delegated = fields.flags & flags::DELEGATED != 0;
        require!(delegated == (args.paid_by == PaidBy::Order), SettleError::NotSponsored);
        let receipt = Receipt {
            flags: fields.flags,
            det_class: fields.det_class,
            domain: self.config.domain,
            epoch: self.batch.epoch,
            seq: fields.seq,
            gateway: self.batch.gateway.to_bytes(),
            worker: fields.worker,
            line_key: line_key(&self.campaign.container, args.stage, &fields.worker, referrer),
            artifact: fields.artifact,
            request_hash: self.request_hash(args, referrer),
            input_hash: fields.input_hash,
            output_hash: fields.output_hash,
            evidence_hash: fields.evidence_hash,
            units_in: fields.units_in,
            units_out: fields.units_out,
            price_nc: fields.price_nc,
            cum_nc: fields.cum_nc,
            t_start_ms: fields.t_start_ms,
            t_end_ms: fields.t_end_ms,
        };
        let root = merkle::Node { hash: self.batch.receipts_root, sum: self.batch.sum_nc };
        let leaf = merkle::leaf(&receipt.to_bytes(), receipt.price_nc);
        let proof: Vec<merkle::Node> = args.proof.iter().map(merkle::Node::from_bytes).collect();
        merkle::verify(&root, self.batch.n_receipts, args.index, &leaf, &proof)
            .map_err(|_| SettleError::InvalidProof)?;
        Ok(())
    }
}

pub(crate) fn handler(ctx: Context<ProveEvent>, args: ProveEventArgs) -> Result<()> {
    let accounts = &mut *ctx.accounts;
    accounts.validate(&args.receipt)?;
    let referrer = accounts.referrer(args.referrer);
    accounts.prove(&args, &referrer)?;
    accounts.event.set_inner(PromoEvent {
        version: VERSION,
        bump: ctx.bumps.event,
        state: EventState::Proven,
        campaign: accounts.campaign.key(),
        consumer: accounts.channel.consumer,
        auction: accounts.auction.key(),
        gateway: accounts.batch.gateway,
        referrer: Pubkey::new_from_array(referrer),
        channel_vault: accounts.channel.vault,
        epoch: accounts.batch.epoch,
        seq: 0,
        rent_payer: accounts.payer.key(),
        _reserved: [0; 32],
    });
    let event = &mut accounts.event;
    let seq = event.next_seq()?;
    emit!(EventProven {
        event: event.key(),
        campaign: event.campaign,
        consumer: event.consumer,
        auction: event.auction,
        batch: accounts.batch.key(),
        index: args.index,
        seq,
    });
    Ok(())
}
