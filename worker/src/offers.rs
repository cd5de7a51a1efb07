//! What a worker offers on the market: capacity from its measured speed, at the lowest tick that reaches its floor price. While
//! the market's base price is below the floor, the worker takes no job.

use anchor_lang::prelude::Pubkey;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use waybill_chain::{
    Chain, ChainError, ix,
    market::{
        constants::TICKS,
        seeds,
        state::{Market, Offer},
    },
};
use waybill_mechanism::{
    amount::{EPOCHS_PER_PRICING_EPOCH, pricing_epoch},
    clearing,
};

use crate::engines::{Engine, Engines};

/// Share of the measured speed that is offered: measured on an idle machine, sold on a busy one.
const OFFERED_PERCENT: u64 = 80;
/// An offer is changed when its capacity is off by more than this.
const SLACK_PERCENT: u64 = 10;
/// For taking the offer out when the worker leaves.
const FAREWELL: Duration = Duration::from_secs(5);

/// Whether a worker takes jobs at the market's present price. Starts open.
#[derive(Debug, Default)]
pub struct Gate(AtomicBool);

impl Gate {
    /// True while the price is below the floor.
    pub fn is_shut(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Returns whether this changed anything.
    pub fn shut(&self, shut: bool) -> bool {
        self.0.swap(shut, Relaxed) != shut
    }
}

/// What an operator sells a worker's capacity for.
#[derive(Clone)]
pub struct Terms {
    pub market: u32,
    /// Lowest base price in nano-credits per 1,000 billable units.
    pub floor_nc: u64,
    /// Signs and pays for the offers; absent posts none and only watches the price.
    pub operator: Option<Arc<Keypair>>,
    /// Pause between two looks at the market.
    pub interval: Duration,
}

/// What one look at the market leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The base price reaches the floor.
    pub serves: bool,
    /// Tick and capacity to post; `None` where the book says so already.
    pub post: Option<(u8, u64)>,
}

/// Compares the market at its present base price, and what is offered there, with what should be.
pub fn plan(market: &Market, base_nc: u64, offer: Option<&Offer>, floor_nc: u64, capacity: u64) -> Plan {
    let prices = clearing::ticks(market.tick0_nc, TICKS, market.tick_ratio_bps).unwrap_or_default();
    // Above the last tick there is nothing to offer.
    let tick = prices.iter().position(|price| *price >= floor_nc).and_then(|tick| u8::try_from(tick).ok());
    let wanted = tick.map_or((0, 0), |tick| (tick, capacity));
    let is_posted = match offer {
        None => wanted.1 == 0,
        Some(offer) => is_near(offer.capacity, wanted.1) && (offer.tick == wanted.0 || wanted.1 == 0),
    };
    Plan { serves: base_nc >= floor_nc, post: (!is_posted).then_some(wanted) }
}

fn is_near(posted: u64, wanted: u64) -> bool {
    let most = u128::from(wanted) * u128::from(SLACK_PERCENT) / 100;
    (posted == 0) == (wanted == 0) && u128::from(posted.abs_diff(wanted)) <= most
}

/// Billable units per pricing epoch at a measured speed in tokens per second.
pub fn capacity(tokens_per_second: f32, epoch_s: u32) -> u64 {
    let seconds = u64::from(epoch_s) * u64::from(EPOCHS_PER_PRICING_EPOCH);
    // A float above u64 saturates, one that is no number is 0.
    (tokens_per_second.max(0.0) as u64).saturating_mul(seconds) / 100 * OFFERED_PERCENT
}

/// Keeps one worker's offer, and its gate.
pub struct Seller {
    chain: Chain,
    worker: Pubkey,
    terms: Terms,
    engines: Arc<Engines>,
    /// Length of a settlement epoch in seconds.
    epoch_s: u32,
    gate: Arc<Gate>,
}

impl Seller {
    pub fn new(
        chain: Chain,
        worker: Pubkey,
        terms: Terms,
        engines: Arc<Engines>,
        epoch_s: u32,
        gate: Arc<Gate>,
    ) -> Self {
        Self { chain, worker, terms, engines, epoch_s, gate }
    }

    /// Looks at the market until `shutdown`, then takes the offer out. An error is logged and the next look tries again; the
    /// gate stays as the last look left it.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(self.terms.interval);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            match shutdown.run_until_cancelled(self.look()).await {
                Some(Err(error)) => tracing::warn!(market = self.terms.market, %error, "the offer waits"),
                Some(Ok(())) => {}
                None => break,
            }
        }
        match tokio::time::timeout(FAREWELL, self.withdraw()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the offer stays in the book; it can be taken out by hand"),
            Err(_) => tracing::warn!("the offer stays in the book: the chain did not answer in time"),
        }
    }

    /// One look: sets the gate, and posts what is not in the book.
    pub async fn look(&self) -> Result<(), ChainError> {
        let address = seeds::find_market(self.terms.market).0;
        let market: Market = self.chain.expect("market", &address, "check its number").await?;
        let offer: Option<Offer> = self.chain.account(&seeds::find_offer(&address, &self.worker).0).await?;
        let now = u64::try_from(self.chain.unix_time().await?).unwrap_or(0);
        let epoch = u32::try_from(now / u64::from(self.epoch_s.max(1))).unwrap_or(u32::MAX);
        let base_nc = market.base_at(pricing_epoch(epoch));
        let plan = plan(&market, base_nc, offer.as_ref(), self.terms.floor_nc, capacity(self.speed(), self.epoch_s));
        if self.gate.shut(!plan.serves) {
            tracing::info!(
                market = market.id,
                base_nc,
                floor_nc = self.terms.floor_nc,
                serves = plan.serves,
                "the market's price crossed the floor"
            );
        }
        match plan.post {
            Some((tick, capacity)) => self.post(tick, capacity).await,
            None => Ok(()),
        }
    }

    /// Takes the offer out of the book, where there is one.
    pub async fn withdraw(&self) -> Result<(), ChainError> {
        let market = seeds::find_market(self.terms.market).0;
        let offer: Option<Offer> = self.chain.account(&seeds::find_offer(&market, &self.worker).0).await?;
        match offer {
            Some(offer) if offer.capacity > 0 => self.post(offer.tick, 0).await,
            _ => Ok(()),
        }
    }

    async fn post(&self, tick: u8, capacity: u64) -> Result<(), ChainError> {
        let Some(operator) = &self.terms.operator else { return Ok(()) };
        let payer = operator.pubkey();
        let post = ix::market::post_offer(payer, payer, self.worker, self.terms.market, tick, capacity);
        self.chain.send(operator, &[], &[post]).await?;
        tracing::info!(market = self.terms.market, tick, capacity, "offer posted");
        Ok(())
    }

    /// The fastest model's tokens per second: generated for chat, read for embeddings.
    fn speed(&self) -> f32 {
        let speed = |engine: &Engine| match engine {
            Engine::Chat(_) => engine.speed().1,
            Engine::Embed(_) => engine.speed().0,
        };
        self.engines.iter().map(speed).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use anchor_lang::{AnchorDeserialize, Space};

    fn market() -> Market {
        // An account of zeros has every field at its default.
        let zeros = vec![0u8; Market::INIT_SPACE];
        let empty = Market::deserialize(&mut zeros.as_slice()).unwrap();
        Market { version: 1, id: 1, tick0_nc: 10_000, tick_ratio_bps: 500, ..empty }
    }

    fn offer(tick: u8, capacity: u64) -> Offer {
        let zeros = vec![0u8; Offer::INIT_SPACE];
        Offer { version: 1, tick, capacity, ..Offer::deserialize(&mut zeros.as_slice()).unwrap() }
    }

    #[test]
    fn the_offer_stands_at_the_first_tick_that_reaches_the_floor() {
        // Ticks: 10000 10500 11025 11576 12154 …
        for (floor, tick) in [(0, 0), (10_000, 0), (10_001, 1), (11_000, 2), (11_025, 2), (12_154, 4)] {
            assert_eq!(plan(&market(), 12_154, None, floor, 500).post, Some((tick, 500)), "floor {floor}");
        }
        assert_eq!(plan(&market(), 12_154, None, u64::MAX, 500).post, None, "no tick reaches it: nothing to offer");
        assert_eq!(
            plan(&market(), 12_154, Some(&offer(3, 500)), u64::MAX, 500).post,
            Some((0, 0)),
            "and nothing stays"
        );
    }

    #[test]
    fn a_worker_serves_at_its_floor_and_not_below() {
        let serves = |base, floor| plan(&market(), base, None, floor, 1).serves;
        assert!(serves(12_154, 12_154));
        assert!(!serves(12_153, 12_154));
        assert!(serves(1, 0));
    }

    #[test]
    fn an_offer_is_changed_for_another_tick_and_for_a_tenth_of_capacity() {
        let post = |posted: Offer, capacity| plan(&market(), 12_154, Some(&posted), 11_025, capacity).post;
        assert_eq!(post(offer(2, 1_000), 1_000), None);
        assert_eq!(post(offer(2, 1_000), 1_090), None);
        assert_eq!(post(offer(2, 1_000), 1_200), Some((2, 1_200)));
        assert_eq!(post(offer(1, 1_000), 1_000), Some((2, 1_000)));
        assert_eq!(post(offer(2, 0), 1_000), Some((2, 1_000)), "one that was taken out comes back");
        assert_eq!(post(offer(1, 0), 0), None, "nothing to offer and nothing offered");
    }

    #[test]
    fn capacity_follows_the_measured_speed() {
        assert_eq!(capacity(100.0, 3_600), 100 * 24 * 3_600 / 100 * 80);
        assert_eq!(capacity(f32::NAN, 3_600), 0);
        assert_eq!(capacity(-1.0, 3_600), 0);
        assert!(capacity(f32::INFINITY, 3_600) > 0);
    }

    #[test]
    fn a_gate_says_when_it_changes() {
        let gate = Gate::default();
        assert!(!gate.is_shut());
        assert!(gate.shut(true) && !gate.shut(true) && gate.is_shut());
        assert!(gate.shut(false) && !gate.is_shut());
    }
}
