//! A market: one class of work in one region, with the base price at which compute is bought.

use anchor_lang::prelude::*;
use waybill_mechanism::clearing;

use crate::{
    constants::{CAPPED_OWNERS, REGION_LEN, THIN_OWNERS, TICKS},
    error::MarketError,
    state::{BookParams, MarketParams},
};

/// Where the fields of the price lie in the account.
const ID_OFFSET: usize = 8 + 1 + 1;
const BASE_OFFSET: usize = ID_OFFSET + 4 + 2 + REGION_LEN;
const NEXT_OFFSET: usize = BASE_OFFSET + 3 * 8 + 4 + 8 + 2 + 8 * TICKS + 8 + 32;
const NEXT_EPOCH_OFFSET: usize = NEXT_OFFSET + 8;

fn bytes_at<const N: usize>(data: &[u8], offset: usize) -> Option<[u8; N]> {
    data.get(offset..)?.first_chunk().copied()
}

/// What clearing a book gave. Prices in nc per 1,000 BU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// The base before.
    pub old_nc: u64,
    /// The base of the next pricing epoch.
    pub base_nc: u64,
    /// Where the book clears; none when it is exhausted or nothing was observed.
    pub marginal_nc: Option<u64>,
    /// What was observed, BU; none when nobody reported.
    pub observed: Option<u64>,
}

/// PDA `["mkt", id]`. Prices are nc per 1,000 BU.
#[account]
#[derive(InitSpace, Debug)]
pub struct Market {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The number that containers name.
    pub id: u32,
    /// Class of work.
    pub class: u16,
    /// Region.
    pub region: [u8; REGION_LEN],
    /// The price every worker is paid at, until `next_epoch`.
    pub base_nc: u64,
    /// The base never falls below.
    pub floor_nc: u64,
    /// The base never rises above.
    pub reserve_nc: u64,
    /// The pricing epoch from which `base_nc` counts.
    pub base_epoch: u32,
    /// Price of the first tick of the book.
    pub tick0_nc: u64,
    /// Ratio between ticks, in bps above one.
    pub tick_ratio_bps: u16,
    /// Capacity offered at each tick, BU per pricing epoch.
    pub cap: [u64; TICKS],
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// The base from `next_epoch` on.
    pub next_nc: u64,
    /// The pricing epoch from which `next_nc` counts; 0 = nothing was cleared yet.
    pub next_epoch: u32,
    /// Smoothed demand, BU per pricing epoch; 0 = never observed.
    pub demand: u64,
    /// What gateways reported in pricing epoch `observed_epoch`, BU.
    pub observed: u64,
    /// See `observed`.
    pub observed_epoch: u32,
    /// How many gateways reported in it.
    pub observers: u32,
    /// How many owners have capacity in the book.
    pub owners: u32,
    /// Room for later fields, zero.
    pub _reserved: [u8; 88],
}

impl Market {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The base price of a pricing epoch.
    #[must_use]
    pub fn base_at(&self, pricing_epoch: u32) -> u64 {
        if self.next_epoch != 0 && pricing_epoch >= self.next_epoch { self.next_nc } else { self.base_nc }
    }

    /// The base price of a pricing epoch, read from the raw account; none when it is not market `id`.
    #[must_use]
    pub fn base_in(data: &[u8], id: u32, pricing_epoch: u32) -> Option<u64> {
        let is_market = data.get(..8) == Some(Self::DISCRIMINATOR);
        if !is_market || u32::from_le_bytes(bytes_at(data, ID_OFFSET)?) != id {
            return None;
        }
        let next_epoch = u32::from_le_bytes(bytes_at(data, NEXT_EPOCH_OFFSET)?);
        let offset = if next_epoch != 0 && pricing_epoch >= next_epoch { NEXT_OFFSET } else { BASE_OFFSET };
        bytes_at(data, offset).map(u64::from_le_bytes)
    }

    /// Adds what a gateway observed in the pricing epoch before, in BU; `old` is what it had said in this one.
    pub fn observe(&mut self, pricing_epoch: u32, old: Option<u64>, units: u64) -> Result<()> {
        if self.observed_epoch != pricing_epoch {
            (self.observed_epoch, self.observed, self.observers) = (pricing_epoch, 0, 0);
        }
        match old {
            Some(old) => self.observed = self.observed.checked_sub(old).ok_or(MarketError::Invariant)?,
            None => self.observers = self.observers.checked_add(1).ok_or(MarketError::Overflow)?,
        }
        self.observed = self.observed.checked_add(units).ok_or(MarketError::Overflow)?;
        Ok(())
    }

    /// Clears the book for the pricing epoch after `pricing_epoch`: demand moves towards what was observed, the base
    /// one step towards the marginal tick. Nobody observed anything: the demand is unknown and the base stays.
    pub fn roll(&mut self, pricing_epoch: u32, params: &MarketParams, book: &BookParams) -> Result<Roll> {
        let next = pricing_epoch.checked_add(1).ok_or(MarketError::BadClock)?;
        require!(next > self.next_epoch, MarketError::AlreadyRolled);
        // The next epoch of the last roll has begun: no snapshot of an earlier one can be frozen any more.
        if self.next_epoch != 0 {
            (self.base_nc, self.base_epoch) = (self.next_nc, self.next_epoch);
        }
        self.next_epoch = next;
        self.next_nc = self.base_nc;
        let mut roll = Roll { old_nc: self.base_nc, base_nc: self.base_nc, marginal_nc: None, observed: None };
        if self.observed_epoch != pricing_epoch || self.observers == 0 {
            return Ok(roll);
        }
        roll.observed = Some(self.observed);
        self.demand = match self.demand {
            0 => self.observed,
            demand => clearing::ema(demand, self.observed, book.alpha_bps()).map_err(|_| MarketError::Overflow)?,
        };
        roll.marginal_nc = if self.owners < THIN_OWNERS {
            clearing::thin_marginal(self.base_nc, &self.cap, self.demand, book.headroom_bps())
        } else {
            clearing::clear(self.tick0_nc, self.tick_ratio_bps, &self.cap, self.demand, book.headroom_bps())
                .map(|cleared| cleared.map(|at| at.price_nc))
        }
        .map_err(|_| MarketError::Overflow)?;
        self.next_nc = clearing::next_base(
            self.base_nc,
            roll.marginal_nc,
            self.floor_nc,
            self.reserve_nc,
            params.step_up_bps,
            params.step_down_bps,
        )
        .map_err(|_| MarketError::Overflow)?;
        roll.base_nc = self.next_nc;
        Ok(roll)
    }

    /// Counts an owner that came into the book or left it.
    pub fn count_owner(&mut self, had: u64, has: u64) -> Result<()> {
        let owners = match (had > 0, has > 0) {
            (false, true) => self.owners.checked_add(1),
            (true, false) => self.owners.checked_sub(1),
            _ => Some(self.owners),
        };
        self.owners = owners.ok_or(MarketError::Invariant)?;
        Ok(())
    }

    /// Refuses an owner with more than its part of the book. With few owners nobody can have less.
    pub fn require_within_cap(&self, capacity: u64, book: &BookParams) -> Result<()> {
        let total: u128 = self.cap.iter().copied().map(u128::from).sum();
        require!(
            self.owners < CAPPED_OWNERS || u128::from(capacity) * 10_000 <= total * u128::from(book.owner_cap_bps()),
            MarketError::OwnerCap
        );
        Ok(())
    }

    /// Replaces what one worker offers in the book: `old` is (tick, capacity) of its former offer.
    pub fn replace_offer(&mut self, old: Option<(u8, u64)>, tick: u8, capacity: u64) -> Result<()> {
        if let Some((tick, capacity)) = old {
            let cap = self.cap.get_mut(usize::from(tick)).ok_or(MarketError::BadTick)?;
            *cap = cap.checked_sub(capacity).ok_or(MarketError::Overflow)?;
        }
        let cap = self.cap.get_mut(usize::from(tick)).ok_or(MarketError::BadTick)?;
        *cap = cap.checked_add(capacity).ok_or(MarketError::Overflow)?;
        Ok(())
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.floor_nc > 0
                && (self.floor_nc..=self.reserve_nc).contains(&self.base_nc)
                && (self.next_epoch == 0 || (self.floor_nc..=self.reserve_nc).contains(&self.next_nc))
                && self.tick0_nc > 0
                && self.tick_ratio_bps > 0,
            MarketError::Invariant
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::config::tests::params;

    fn market() -> Market {
        Market {
            version: Market::VERSION,
            bump: 1,
            id: 1,
            class: 7,
            region: *b"eu-central\0\0",
            base_nc: 11_025,
            floor_nc: 1_000,
            reserve_nc: 216_036,
            base_epoch: 10,
            tick0_nc: 10_000,
            tick_ratio_bps: 500,
            cap: [0; TICKS],
            seq: 0,
            rent_payer: Pubkey::default(),
            next_nc: 0,
            next_epoch: 0,
            demand: 400_000,
            observed: 0,
            observed_epoch: 0,
            observers: 0,
            owners: 5,
            _reserved: [0; 88],
        }
    }

    #[test]
    fn the_price_read_from_the_raw_account_is_the_accounts() {
        let mut market = market();
        let mut bytes = Vec::new();
        market.try_serialize(&mut bytes).unwrap();
        assert_eq!(Market::base_in(&bytes, 1, 10), Some(11_025));
        (market.next_nc, market.next_epoch) = (11_576, 11);
        bytes.clear();
        market.try_serialize(&mut bytes).unwrap();
        for epoch in [10, 11, 12] {
            assert_eq!(Market::base_in(&bytes, 1, epoch), Some(market.base_at(epoch)));
        }
        assert_eq!(Market::base_in(&bytes, 2, 10), None, "another market");
        assert_eq!(Market::base_in(&bytes[..500], 1, 10), None, "half a market");
        bytes[0] ^= 1;
        assert_eq!(Market::base_in(&bytes, 1, 10), None, "another type");
    }

    /// The design's book: tick 2 400k, 4 300k, 5 500k, 8 900k, 12 700k.
    fn book() -> Market {
        let mut market = market();
        for (tick, capacity) in [(2, 400_000), (4, 300_000), (5, 500_000), (8, 900_000), (12, 700_000)] {
            market.replace_offer(None, tick, capacity).unwrap();
        }
        market
    }

    #[test]
    fn the_designs_path_of_demand_and_base() {
        let (mut market, params) = (book(), params());
        let mut path = Vec::new();
        for (epoch, units) in (10..).zip([420_000, 500_000, 640_000, 640_000, 640_000]) {
            market.observe(epoch, None, units).unwrap();
            let roll = market.roll(epoch, &params, &BookParams::default()).unwrap();
            market.invariant().unwrap();
            path.push((market.demand, roll.marginal_nc, roll.base_nc));
        }
        let at = |demand, base| (demand, Some(12_154), base);
        assert_eq!(
            path,
            [at(404_000, 11_576), at(423_200, 12_154), at(466_560, 12_154), at(501_248, 12_154), at(528_998, 12_154)]
        );
    }

    #[test]
    fn the_base_of_an_epoch_never_changes_once_it_may_be_frozen() {
        let (mut market, params) = (book(), params());
        market.observe(10, None, 420_000).unwrap();
        market.roll(10, &params, &BookParams::default()).unwrap();
        assert_eq!((market.base_at(10), market.base_at(11), market.base_at(99)), (11_025, 11_576, 11_576));
        let again = market.roll(10, &params, &BookParams::default()).unwrap_err();
        assert_eq!(again, MarketError::AlreadyRolled.into());
        market.roll(11, &params, &BookParams::default()).unwrap();
        assert_eq!((market.base_at(11), market.base_at(12)), (11_576, 11_576), "silence moves nothing");
        assert_eq!(market.demand, 404_000);
        // Epochs without a roll keep the last base.
        market.observe(20, None, 420_000).unwrap();
        market.roll(20, &params, &BookParams::default()).unwrap();
        assert_eq!((market.base_at(20), market.base_at(21)), (11_576, 12_154));
    }

    #[test]
    fn a_gateway_that_reports_again_is_counted_once_and_an_old_epoch_not_at_all() {
        let mut market = market();
        market.observe(10, None, 5).unwrap();
        market.observe(10, None, 7).unwrap();
        market.observe(10, Some(5), 1).unwrap();
        assert_eq!((market.observed, market.observers), (8, 2));
        market.observe(11, None, 3).unwrap();
        assert_eq!((market.observed, market.observers), (3, 1));
        assert_eq!(market.observe(11, None, u64::MAX).unwrap_err(), MarketError::Overflow.into());
    }

    #[test]
    fn an_exhausted_book_rises_and_a_thin_one_follows_its_utilisation() {
        let (mut market, params) = (book(), params());
        market.demand = 0;
        market.observe(10, None, 2_300_000).unwrap();
        let roll = market.roll(10, &params, &BookParams::default()).unwrap();
        assert_eq!((market.demand, roll.marginal_nc, roll.base_nc), (2_300_000, None, 11_576));

        let mut thin = book();
        (thin.owners, thin.demand) = (2, 0);
        // 1,120,000 of 2,800,000 units, half of the 80 % that are wanted: an eighth of a half down.
        thin.observe(10, None, 1_120_000).unwrap();
        let roll = thin.roll(10, &params, &BookParams::default()).unwrap();
        assert_eq!((roll.marginal_nc, roll.base_nc), (Some(11_025 - 689), 11_025 - 689));
    }

    #[test]
    fn from_four_owners_on_nobody_adds_beyond_a_quarter_of_the_book() {
        let mut market = book();
        market.owners = 3;
        market.require_within_cap(2_800_000, &BookParams::default()).unwrap();
        market.owners = 4;
        market.require_within_cap(700_000, &BookParams::default()).unwrap();
        let more = market.require_within_cap(700_001, &BookParams::default()).unwrap_err();
        assert_eq!(more, MarketError::OwnerCap.into());
        market.count_owner(0, 1).unwrap();
        market.count_owner(1, 2).unwrap();
        market.count_owner(2, 0).unwrap();
        assert_eq!(market.owners, 4);
    }
}
