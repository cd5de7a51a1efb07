//! Keeps the books of the markets going: reports the demand that this gateway saw in the pricing epoch before, then takes
//! out what nobody serves and clears each book for the next one, and converts the minimum stakes that are given in USD.

use super::{SettleError, Settler, now_ms};
use anchor_lang::prelude::Pubkey;
use market::state::{Market, MarketConfig, Offer, Party, Role, SplitSnapshot};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use waybill_chain::{Intent, View, closing::is_unserved};
use waybill_mechanism::amount::{EPOCHS_PER_PRICING_EPOCH, mul_div_floor};

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
            self.observe(pricing_epoch, &markets, view).await?;
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
    async fn observe(&self, pricing_epoch: u32, markets: &BTreeSet<u32>, view: &View) -> Result<(), SettleError> {
        let mut missing = Vec::new();
        for id in markets {
            let key = format!("demand/{id}/{pricing_epoch}");
            if self.store.outbox_by_key(&key).await?.is_none() {
                missing.push((*id, key));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let units = self.units_of(pricing_epoch.saturating_sub(1), view).await?;
        for (id, key) in missing {
            if let Some(units) = units.get(&id).copied().filter(|units| *units > 0) {
                let intent = Intent::ObserveDemand { market: id, pricing_epoch, units };
                self.outbox.request(&key, &intent, now_ms(view)).await?;
            }
        }
        Ok(())
    }

    /// The units this gateway charged for in a pricing epoch, by market: credits of the lines over the frozen price.
    async fn units_of(&self, pricing_epoch: u32, view: &View) -> Result<BTreeMap<u32, u64>, SettleError> {
        let mut credits: HashMap<Priced, u64> = HashMap::new();
        let first = pricing_epoch.saturating_mul(EPOCHS_PER_PRICING_EPOCH);
        for epoch in first..first.saturating_add(EPOCHS_PER_PRICING_EPOCH) {
            for line in self.store.lines(self.config.gateway, epoch, None).await? {
                let sum = credits.entry((line.container.0, line.stage)).or_default();
                *sum = sum.saturating_add(line.cum_nc);
            }
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
        let key = format!("minima/{pricing_epoch}");
        if self.store.outbox_by_key(&key).await?.is_some() {
            return Ok(());
        }
        let address = market::seeds::find_config().0;
        let config: MarketConfig =
            self.chain().expect("market configuration", &address, "run `waybill genesis` first").await?;
        if config.min_stake_nc.iter().any(|nc| *nc > 0) && config.minima_epoch < pricing_epoch {
            self.outbox.request(&key, &Intent::RollMinima { pricing_epoch }, now_ms(view)).await?;
        }
        Ok(())
    }
}
