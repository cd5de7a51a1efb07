//! Keeps the books of the markets going: reports the demand that this gateway saw in the pricing epoch before, then takes
//! out what nobody serves and clears each book for the next one, and converts the minimum stakes that are given in USD.

use super::{SettleError, Settler, now_ms};
use anchor_lang::prelude::Pubkey;
use market::state::{AuctionState, Market, MarketConfig, Offer, Party, Role, SlotAuction, SplitSnapshot};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use waybill_chain::{Intent, View, closing::is_unserved};
use waybill_mechanism::{
    amount::{EPOCHS_PER_PRICING_EPOCH, mul_div_floor},
    message::flags,
};
use waybill_store::{Charge, LineState, StoreError};

/// Bytes before `market` in an offer: discriminator, version, bump.
const OFFER_MARKET_OFFSET: usize = 8 + 1 + 1;

/// A stage of a container in a pricing epoch: what a snapshot is about.
type Priced = ([u8; 32], u8);

impl Settler {
    /// Requests what is due. Safe when several schedulers do it at once: of two rolls the second is refused, of two reports
    /// of one gateway the second replaces the first.
    pub(super) async fn crank_books(&self, view: &View) -> Result<(), SettleError> {
        let now_s = view.now_ms() / 1_000;
        let markets: BTreeSet<u32> =
            view.models.values().flat_map(|model| model.stages.iter().map(|stage| stage.market)).collect();
        if let Ok(pricing_epoch) = view.market.observing(now_s) {
            self.observe(pricing_epoch, view).await?;
        }
        if let Ok(pricing_epoch) = view.market.clearing(now_s) {
            for id in &markets {
                let address = market::seeds::find_market(*id).0;
                let book: Option<Market> = self.chain().account(&address).await?;
                if book.is_some_and(|book| book.next_epoch <= pricing_epoch) {
                    self.remove_offers(&address, pricing_epoch, view).await?;
                    let intent = Intent::RollMarket { market: *id, pricing_epoch };
                    self.outbox.request(&format!("book/{id}/{pricing_epoch}"), &intent, now_ms(view)).await?;
                }
            }
        }
        self.crank_minima(view).await
    }

    /// Takes offers that nobody serves out of a book that is about to clear: they would hold its price down.
    async fn remove_offers(&self, book: &Pubkey, pricing_epoch: u32, view: &View) -> Result<(), SettleError> {
        let offers: Vec<(Pubkey, Offer)> =
            self.chain().all_where(&market::ID, OFFER_MARKET_OFFSET, book.as_ref()).await?;
        let parties: Vec<Pubkey> =
            offers.iter().map(|(_, offer)| market::seeds::find_party(&offer.owner, Role::Provider).0).collect();
        let parties: Vec<Option<Party>> = self.chain().accounts(&parties).await?;
        for ((address, offer), party) in offers.iter().zip(parties) {
            let node = view.nodes.get(&offer.worker).map(|entry| &entry.node);
            let Some(party) = party else { continue };
            if is_unserved(offer, node, &party, &view.market, view.now_ms() / 1_000) {
                let intent = Intent::RemoveOffer { offer: address.to_bytes() };
                self.outbox.request(&format!("offer/{address}/{pricing_epoch}"), &intent, now_ms(view)).await?;
            }
        }
        Ok(())
    }

    /// Reports once per pricing epoch and market. Nothing is reported for a market in which nothing was charged, so a
    /// gateway that stood still does not talk the price down.
    async fn observe(&self, pricing_epoch: u32, view: &View) -> Result<(), SettleError> {
        // Receipts of the last epoch are on their way for a while.
        if self.complete_until(view) < pricing_epoch.saturating_mul(EPOCHS_PER_PRICING_EPOCH) {
            return Ok(());
        }
        let mut demand = self.demand.lock().await;
        if demand.as_ref().is_none_or(|(of, _)| *of != pricing_epoch) {
            *demand = Some((pricing_epoch, self.units_of(pricing_epoch.saturating_sub(1), view).await?));
        }
        let units = demand.iter().flat_map(|(_, units)| units);
        for (id, units) in units.filter(|(_, units)| **units > 0) {
            let intent = Intent::ObserveDemand { market: *id, pricing_epoch, units: *units };
            self.outbox.request(&format!("demand/{id}/{pricing_epoch}"), &intent, now_ms(view)).await?;
        }
        Ok(())
    }

    /// The units this gateway charged for in a pricing epoch, by market: credits over the frozen price.
    async fn units_of(&self, pricing_epoch: u32, view: &View) -> Result<BTreeMap<u32, u64>, SettleError> {
        let first = pricing_epoch.saturating_mul(EPOCHS_PER_PRICING_EPOCH);
        // Only a day whose slots were sold has sponsored requests, and only they need a look at every receipt.
        let sold = |auction: &SlotAuction| auction.day == pricing_epoch && auction.state == AuctionState::Sold;
        let promoted = view.promotion.auctions.iter().any(sold);
        let mut credits = HashMap::new();
        for epoch in first..first.saturating_add(EPOCHS_PER_PRICING_EPOCH) {
            let lines = self.store.lines(self.config.gateway, epoch, None).await?;
            let receipts = if promoted { self.receipts(epoch).await? } else { Vec::new() };
            add_organic(&mut credits, &lines, &receipts)?;
        }
        let stages: HashMap<Priced, u32> = view
            .models
            .values()
            .flat_map(|model| {
                model
                    .stages
                    .iter()
                    .enumerate()
                    .filter_map(|(index, stage)| Some(((model.container, u8::try_from(index).ok()?), stage.market)))
            })
            .collect();
        let mut units = BTreeMap::new();
        for ((container, stage), credits) in credits {
            let Some(market) = stages.get(&(container, stage)) else { continue };
            let address = market::seeds::find_snapshot(&container, stage, pricing_epoch).0;
            let Some(snapshot) = self.chain().account::<SplitSnapshot>(&address).await? else { continue };
            let served = mul_div_floor(credits, 1_000, snapshot.price_nc).unwrap_or(0);
            let sum: &mut u64 = units.entry(*market).or_default();
            *sum = sum.saturating_add(served);
        }
        Ok(units)
    }

    /// Converts minima once per pricing epoch, where any is given in USD.
    async fn crank_minima(&self, view: &View) -> Result<(), SettleError> {
        let pricing_epoch = view.pricing_epoch();
        let address = market::seeds::find_config().0;
        let config: MarketConfig =
            self.chain().expect("market configuration", &address, "run `waybill genesis` first").await?;
        if config.min_stake_nc.iter().any(|nc| *nc > 0) && config.minima_epoch < pricing_epoch {
            let key = format!("minima/{pricing_epoch}");
            self.outbox.request(&key, &Intent::RollMinima { pricing_epoch }, now_ms(view)).await?;
        }
        Ok(())
    }
}

/// Adds what an epoch's lines charged, without the receipts of requests that came through promotion slots: what somebody
/// paid to bring is no demand that the price should follow.
fn add_organic(credits: &mut HashMap<Priced, u64>, lines: &[LineState], receipts: &[Charge]) -> Result<(), StoreError> {
    for line in lines {
        let sum = credits.entry((line.container.0, line.stage)).or_default();
        *sum = sum.saturating_add(line.cum_nc);
    }
    for charge in receipts {
        let receipt = charge.receipt()?;
        if receipt.flags & flags::SPONSORED != 0 {
            let sum = credits.entry((charge.container.0, charge.stage)).or_default();
            *sum = sum.saturating_sub(receipt.price_nc);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::settle::promo::tests::charge;
    use waybill_protocol::{WalletId, WorkerId};

    fn line(charge: &Charge, cum_nc: u64) -> LineState {
        LineState {
            gateway: WalletId([2; 32]),
            epoch: 1,
            line_key: [1; 32],
            container: charge.container,
            stage: charge.stage,
            worker: WorkerId([4; 32]),
            referrer: WalletId::NONE,
            next_seq: 2,
            cum_nc,
        }
    }

    #[test]
    fn what_a_promotion_brought_is_no_demand() {
        let organic = charge(flags::DELEGATED, None);
        let sponsored = charge(flags::DELEGATED | flags::SPONSORED, Some(&[9; 32]));
        let price_nc = sponsored.receipt().unwrap().price_nc;
        let key = (organic.container.0, organic.stage);
        let lines = [line(&organic, 2 * price_nc), line(&organic, 5)];
        let mut credits = HashMap::new();
        add_organic(&mut credits, &lines, &[organic.clone(), sponsored.clone()]).unwrap();
        assert_eq!(credits, HashMap::from([(key, price_nc + 5)]));
        // The next epoch of the same day adds to it; a day without sold slots reads no receipts.
        add_organic(&mut credits, &lines, &[]).unwrap();
        assert_eq!(credits, HashMap::from([(key, 3 * price_nc + 10)]));
    }
}
