//! Promotion's permissionless steps: selling the slots, proving this gateway's sponsored requests from its final batches,
//! letting the campaigns pay for them, and freeing the rents when all is over.

use super::{SettleError, Settler, now_ms};
use anchor_lang::{AnchorSerialize, prelude::Pubkey};
use market::state::{AuctionState, SlotAuction, SoldSlot};
use settlement::{
    instructions::{PaidBy, ProveEventArgs, ReceiptFields, Referrer},
    state::{Channel, EventState, PromoEvent},
};
use std::collections::{BTreeSet, HashMap, HashSet};
use waybill_chain::{ChainError, Intent, Promotion, View, ix, promotion};
use waybill_mechanism::{
    amount::EPOCHS_PER_PRICING_EPOCH,
    merkle::{Node, Tree},
    message::{NO_REFERRER, Order, Receipt, ctx_hash, flags},
    promo::{self, seasoning_s},
};
use waybill_store::{BatchId, BatchStatus, Charge};

/// What this process need not look at again. Lost at a restart, and found again.
#[derive(Default)]
pub(super) struct Progress {
    /// Epochs whose sponsored requests need nothing more.
    epochs: BTreeSet<u32>,
    /// The day in which events of vanished campaigns were last looked for.
    closed_on: u32,
}

/// A sponsored request of this gateway with everything that proves it.
struct Sponsored<'a> {
    receipt: Receipt,
    charge: &'a Charge,
    order: Order,
    channel: &'a Channel,
    campaign: Pubkey,
    auction: Pubkey,
    slot: &'a SoldSlot,
}

impl Settler {
    /// Requests what is due and not done. Safe when several schedulers do it at once: the second is refused.
    pub(super) async fn crank_promotion(&self, view: &View) -> Result<(), SettleError> {
        let now_s = view.now_ms() / 1_000;
        for auction in &view.promotion.auctions {
            let Some(times) = promo::day(auction.day, view.settle.epoch_s) else { continue };
            let (market, day) = (auction.market, auction.day);
            let bidding = auction.state == AuctionState::Bidding;
            if bidding && (times.bids_until..times.ends).contains(&now_s) {
                let key = format!("slots/{market}/{day}");
                self.outbox.request(&key, &Intent::RollSlots { market, day }, now_ms(view)).await?;
            } else if now_s >= times.charges_until {
                let key = format!("slots/{market}/{day}/close");
                self.outbox.request(&key, &Intent::CloseSlotAuction { market, day }, now_ms(view)).await?;
            }
        }
        self.settle_events(view).await?;
        let mut progress = self.promoted.lock().await;
        if progress.closed_on != view.pricing_epoch() {
            self.close_events(view).await?;
            progress.closed_on = view.pricing_epoch();
        }
        Ok(())
    }

    /// Proves and charges the events of every epoch of the days whose slots were sold and can still be charged.
    async fn settle_events(&self, view: &View) -> Result<(), SettleError> {
        let days: HashSet<u32> = view
            .promotion
            .auctions
            .iter()
            .filter(|auction| auction.state == AuctionState::Sold)
            .map(|auction| auction.day)
            .collect();
        for day in days {
            let first = day.saturating_mul(EPOCHS_PER_PRICING_EPOCH);
            for epoch in first..first.saturating_add(EPOCHS_PER_PRICING_EPOCH).min(view.epoch()) {
                let done = self.promoted.lock().await.epochs.contains(&epoch);
                if !done && self.settle_epoch(epoch, view).await? {
                    self.promoted.lock().await.epochs.insert(epoch);
                }
            }
        }
        Ok(())
    }

    /// True when nothing of the epoch is left to prove or charge.
    async fn settle_epoch(&self, epoch: u32, view: &View) -> Result<bool, SettleError> {
        // Shard 0 is stored last, and batches of an epoch become final together or soon after each other.
        let first = BatchId { gateway: self.config.gateway, epoch, shard: 0 };
        match self.store.batch(first).await? {
            Some(batch) if batch.status >= BatchStatus::Final => {}
            _ => return Ok(false),
        }
        let charges = self.receipts(epoch).await?;
        let mut done = true;
        // One event per consumer and campaign: the first.
        let mut seen = HashSet::new();
        for charge in &charges {
            let found = sponsored(charge, &view.promotion, &view.channels, view.settle.epoch_s)?;
            let Some(sponsored) = found else { continue };
            if seen.insert((sponsored.campaign, sponsored.channel.consumer)) {
                done &= self.settle_event(&sponsored, view).await?;
            }
        }
        Ok(done)
    }

    /// Takes the next step of one event; true when there is none.
    async fn settle_event(&self, sponsored: &Sponsored<'_>, view: &View) -> Result<bool, SettleError> {
        let (campaign, consumer) = (sponsored.campaign, sponsored.channel.consumer);
        let address = settlement::seeds::find_promo_event(&campaign, &consumer).0;
        let event: Option<PromoEvent> = self.chain().account(&address).await?;
        let (step, intent) = match event.map(|event| event.state) {
            Some(EventState::Charged) => return Ok(true),
            // A campaign without money today may be topped up while its events can be charged.
            Some(EventState::Proven) if view.promotion.payable(sponsored.slot, view.rate).is_none() => {
                return Ok(false);
            }
            Some(EventState::Proven) => ("settle", Intent::SettlePromo { event: address.to_bytes() }),
            None => match self.proof(sponsored).await? {
                Some(intent) => ("prove", intent),
                None => return Ok(false),
            },
        };
        self.outbox.request(&format!("event/{campaign}/{consumer}/{step}"), &intent, now_ms(view)).await?;
        Ok(false)
    }

    /// The intent that proves an event; `None` while its batch is not final.
    async fn proof(&self, sponsored: &Sponsored<'_>) -> Result<Option<Intent>, SettleError> {
        let Some(bundle) = self.store.receipt(&sponsored.charge.receipt_id).await? else { return Ok(None) };
        let Some((id, index)) = bundle.batch else { return Ok(None) };
        if self.store.batch(id).await?.is_none_or(|batch| batch.status < BatchStatus::Final) {
            return Ok(None);
        }
        let build = |e: waybill_mechanism::merkle::MerkleError| ChainError::Build(e.to_string());
        let tree = Tree::build(self.store.receipt_leaves(id).await?).map_err(build)?;
        let proof = tree.proof(index as usize).map_err(build)?;
        let args = prove_args(sponsored, index, &proof);
        let mut encoded = Vec::new();
        args.serialize(&mut encoded).map_err(|e| ChainError::Build(e.to_string()))?;
        let gateway = Pubkey::new_from_array(id.gateway.0);
        Ok(Some(Intent::ProveEvent {
            batch: settlement::seeds::find_batch(&gateway, id.epoch, id.shard).0.to_bytes(),
            channel: sponsored.charge.channel.0,
            consumer: sponsored.channel.consumer.to_bytes(),
            campaign: sponsored.campaign.to_bytes(),
            auction: sponsored.auction.to_bytes(),
            args: encoded,
        }))
    }

    /// Requests the closing of this gateway's events whose campaigns are gone.
    async fn close_events(&self, view: &View) -> Result<(), SettleError> {
        let gateway = Pubkey::new_from_array(self.config.gateway.0);
        for event in promotion::events_of(self.chain(), &gateway).await? {
            if view.promotion.campaigns.contains_key(&event.campaign)
                || self.chain().data(&event.campaign).await?.is_some()
            {
                continue;
            }
            let address = settlement::seeds::find_promo_event(&event.campaign, &event.consumer).0;
            let intent = Intent::CloseEvent { event: address.to_bytes() };
            self.outbox.request(&format!("event/{address}/close"), &intent, now_ms(view)).await?;
        }
        Ok(())
    }
}

/// A charge as an event, if it came through a slot and its consumer's channel was old enough.
fn sponsored<'a>(
    charge: &'a Charge,
    promotion: &'a Promotion,
    channels: &'a HashMap<Pubkey, Channel>,
    epoch_s: u32,
) -> Result<Option<Sponsored<'a>>, SettleError> {
    let receipt = charge.receipt()?;
    if receipt.flags & flags::SPONSORED == 0 {
        return Ok(None);
    }
    let Ok(order) = Order::from_bytes(&charge.order) else { return Ok(None) };
    let Some(channel) = channels.get(&Pubkey::new_from_array(charge.channel.0)) else { return Ok(None) };
    let seasoned_ms = channel.opened_at.saturating_add(seasoning_s(epoch_s)).saturating_mul(1_000);
    if channel.opened_at == 0 || i64::try_from(receipt.t_start_ms).unwrap_or(0) < seasoned_ms {
        return Ok(None);
    }
    let day = receipt.epoch / EPOCHS_PER_PRICING_EPOCH;
    let of_day = promotion.auctions.iter().filter(|auction| auction.day == day);
    let found = of_day.flat_map(|auction| auction.slots.iter().map(move |slot| (auction, slot))).find(|(_, slot)| {
        promotion.campaigns.get(&slot.campaign).is_some_and(|campaign| campaign.container == charge.container.0)
    });
    let Some((auction, slot)) = found else { return Ok(None) };
    let address = address_of(auction);
    // A request that began under yesterday's slot names another auction, and nobody pays for it.
    let slot_key = address.to_bytes();
    let expected =
        ctx_hash(&charge.container.0, &receipt.input_hash, order.max_price_nc, &charge.referrer.0, Some(&slot_key));
    Ok((order.ctx_hash == expected).then_some(Sponsored {
        receipt,
        charge,
        order,
        channel,
        campaign: slot.campaign,
        auction: address,
        slot,
    }))
}

fn address_of(auction: &SlotAuction) -> Pubkey {
    ix::promo::auction(auction.market, auction.day)
}

fn prove_args(sponsored: &Sponsored<'_>, index: u32, proof: &[Node]) -> ProveEventArgs {
    let Sponsored { receipt, charge, order, channel, .. } = sponsored;
    let referrer = charge.referrer.0;
    ProveEventArgs {
        index,
        proof: proof.iter().map(Node::to_bytes).collect(),
        receipt: ReceiptFields {
            flags: receipt.flags,
            det_class: receipt.det_class,
            seq: receipt.seq,
            worker: receipt.worker,
            artifact: receipt.artifact,
            input_hash: receipt.input_hash,
            output_hash: receipt.output_hash,
            evidence_hash: receipt.evidence_hash,
            units_in: receipt.units_in,
            units_out: receipt.units_out,
            price_nc: receipt.price_nc,
            cum_nc: receipt.cum_nc,
            t_start_ms: receipt.t_start_ms,
            t_end_ms: receipt.t_end_ms,
        },
        stage: charge.stage,
        nonce: order.nonce,
        max_price_nc: order.max_price_nc,
        paid_by: PaidBy::Order,
        referrer: if referrer == NO_REFERRER {
            Referrer::Nobody
        } else if referrer == channel.grant.referrer.to_bytes() {
            Referrer::Grant
        } else {
            Referrer::Key(Pubkey::new_from_array(referrer))
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anchor_lang::{AccountDeserialize, Space};
    use market::state::{Campaign, CampaignTerms, SlotBid};
    use waybill_mechanism::message::line_key;
    use waybill_protocol::{ChannelId, ContainerId, RequestId, WalletId};

    const EPOCH_S: u32 = 3_600;
    const DAY: u32 = 20_718;
    const CONTAINER: [u8; 32] = [8; 32];
    const CHANNEL: [u8; 32] = [5; 32];
    const CAMPAIGN: Pubkey = Pubkey::new_from_array([9; 32]);

    fn promotion() -> Promotion {
        let terms = CampaignTerms {
            id: 1,
            market: 4,
            owner: Pubkey::new_from_array([7; 32]),
            container: CONTAINER,
            daily_cap_nc: 100_000,
            daily_target_nc: 100_000,
        };
        let mut auction = SlotAuction::new(4, DAY, 1, Pubkey::default());
        let bid = SlotBid { campaign: CAMPAIGN, container: CONTAINER, bid_nc: 60_000, quality_bps: 10_000 };
        auction.place(bid).unwrap();
        auction.decide().unwrap();
        let campaigns = [(CAMPAIGN, Campaign::new(terms, 1, 2, Pubkey::default()))].into();
        Promotion { auctions: vec![auction], campaigns, ..Promotion::default() }
    }

    fn channels(opened_at: i64) -> HashMap<Pubkey, Channel> {
        let mut channel = Channel::try_deserialize_unchecked(&mut [0; 8 + Channel::INIT_SPACE].as_slice()).unwrap();
        channel.consumer = Pubkey::new_from_array([6; 32]);
        channel.opened_at = opened_at;
        [(Pubkey::new_from_array(CHANNEL), channel)].into()
    }

    /// A charge of the day's first epoch whose order names `slot`.
    pub(in crate::settle) fn charge(flags: u8, slot: Option<&[u8; 32]>) -> Charge {
        let (worker, referrer, input_hash, max_price_nc) = ([4; 32], WalletId::NONE, [3; 32], 900);
        let ctx_hash = ctx_hash(&CONTAINER, &input_hash, max_price_nc, &referrer.0, slot);
        let order = Order { domain: [1; 8], channel: CHANNEL, nonce: 12, max_price_nc, ctx_hash };
        let started_ms = u64::from(DAY) * 86_400_000;
        let receipt = Receipt {
            flags,
            det_class: 1,
            domain: [1; 8],
            epoch: DAY * EPOCHS_PER_PRICING_EPOCH,
            seq: 0,
            gateway: [2; 32],
            worker,
            line_key: line_key(&CONTAINER, 0, &worker, &referrer.0),
            artifact: [10; 32],
            request_hash: order.hash(),
            input_hash,
            output_hash: [11; 32],
            evidence_hash: [12; 32],
            units_in: 1,
            units_out: 2,
            price_nc: 800,
            cum_nc: 800,
            t_start_ms: started_ms,
            t_end_ms: started_ms + 5,
        };
        Charge {
            receipt_id: "r".into(),
            request_id: RequestId("r".into()),
            channel: ChannelId(CHANNEL),
            nonce: 12,
            model: "m".into(),
            container: ContainerId(CONTAINER),
            stage: 0,
            referrer,
            api_key: None,
            receipt: receipt.to_bytes(),
            worker_sig: [0; 64],
            gateway_sig: [0; 64],
            order: order.to_bytes(),
            order_sig: [0; 64],
            created_ms: 0,
        }
    }

    #[test]
    fn a_sponsored_request_of_an_old_channel_is_an_event_of_the_campaign_that_held_the_slot() {
        let (promotion, opened_at) = (promotion(), i64::from(DAY - 1) * 86_400);
        let auction = ix::promo::auction(4, DAY);
        let both = flags::SPONSORED | flags::DELEGATED;
        let good = charge(both, Some(&auction.to_bytes()));
        let channels = channels(opened_at);
        let event = sponsored(&good, &promotion, &channels, EPOCH_S).unwrap().unwrap();
        assert_eq!((event.campaign, event.auction), (CAMPAIGN, auction));
        let args = prove_args(&event, 3, &[]);
        assert_eq!((args.nonce, args.max_price_nc, args.index), (12, 900, 3));
        assert_eq!((args.paid_by, args.referrer), (PaidBy::Order, Referrer::Nobody));

        let none = |charge: &Charge, promotion: &Promotion, channels: &HashMap<Pubkey, Channel>| {
            sponsored(charge, promotion, channels, EPOCH_S).unwrap().is_none()
        };
        assert!(none(&charge(flags::DELEGATED, None), &promotion, &channels), "organic");
        assert!(none(&charge(both, Some(&[1; 32])), &promotion, &channels), "another auction");
        assert!(none(&charge(both, None), &promotion, &channels), "no auction in the order");
        assert!(none(&good, &promotion, &self::channels(opened_at + 1)), "a channel that is not a day old");
        assert!(none(&good, &promotion, &self::channels(0)), "a channel of unknown age");
        assert!(none(&good, &promotion, &HashMap::new()), "a channel that is gone");
        assert!(none(&good, &Promotion::default(), &channels), "nothing was sold");
    }

    #[test]
    fn the_referrer_of_the_grant_needs_no_key_in_the_proof() {
        let promotion = promotion();
        let curator = Pubkey::new_from_array([13; 32]);
        let charge = Charge { referrer: WalletId([13; 32]), ..charge(flags::SPONSORED | flags::DELEGATED, None) };
        let mut channels = channels(1);
        let channel = channels.get_mut(&Pubkey::new_from_array(CHANNEL)).unwrap();
        let slot = &promotion.auctions[0].slots[0];
        for (granted, expected) in [(Pubkey::default(), Referrer::Key(curator)), (curator, Referrer::Grant)] {
            channel.grant.referrer = granted;
            let event = Sponsored {
                receipt: charge.receipt().unwrap(),
                charge: &charge,
                order: Order::from_bytes(&charge.order).unwrap(),
                channel,
                campaign: slot.campaign,
                auction: ix::promo::auction(4, DAY),
                slot,
            };
            assert_eq!(prove_args(&event, 0, &[]).referrer, expected);
        }
    }
}
