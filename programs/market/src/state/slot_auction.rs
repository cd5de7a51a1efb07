//! The auction of one market's promotion slots for one day: who bids, and after the bidding who holds which slot at
//! which price.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    promo::{self, ALPHA_BPS, Day},
    vcg::{Bid, vcg},
};

use crate::{
    constants::{MAX_SLOT_BIDS, SLOTS},
    error::MarketError,
};

/// Whether an auction is decided. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AuctionState {
    /// Takes bids until bidding ends, then waits for the roll.
    Bidding,
    /// Its slots are sold.
    Sold,
}

/// One campaign's bid.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotBid {
    /// The campaign.
    pub campaign: Pubkey,
    /// Id of the container it promotes; no two bids of an auction promote the same.
    pub container: [u8; 32],
    /// nc per event, after pacing.
    pub bid_nc: u64,
    /// The campaign's quality when it bid, bps.
    pub quality_bps: u16,
}

impl SlotBid {
    /// What ranks it.
    fn score(&self) -> u128 {
        u128::from(self.bid_nc).saturating_mul(u128::from(self.quality_bps))
    }
}

/// A sold slot.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoldSlot {
    /// The campaign that holds it.
    pub campaign: Pubkey,
    /// What an event costs, nc.
    pub price_nc: u64,
    /// Events charged.
    pub events: u32,
    /// What they cost, nc; at most the campaign's daily cap.
    pub spent_nc: u64,
}

/// PDA `["slot", market, day]`, where `market` is the market's address and a day is a pricing epoch.
#[account]
#[derive(InitSpace, Debug)]
pub struct SlotAuction {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Whether it is decided.
    pub state: AuctionState,
    /// Id of the market.
    pub market: u32,
    /// The pricing epoch whose slots it sells.
    pub day: u32,
    /// The least an event costs, nc.
    pub reserve_nc: u64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
    /// The sold slots in order of position.
    #[max_len(SLOTS)]
    pub slots: Vec<SoldSlot>,
    /// The bids in order of arrival.
    #[max_len(MAX_SLOT_BIDS)]
    pub bids: Vec<SlotBid>,
}

impl SlotAuction {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// An auction without bids.
    #[must_use]
    pub fn new(market: u32, day: u32, bump: u8, rent_payer: Pubkey) -> Self {
        Self {
            version: Self::VERSION,
            bump,
            state: AuctionState::Bidding,
            market,
            day,
            reserve_nc: promo::RESERVE_NC,
            seq: 0,
            rent_payer,
            _reserved: [0; 64],
            slots: Vec::new(),
            bids: Vec::new(),
        }
    }

    /// When things happen to it.
    pub fn times(&self, epoch_s: u32) -> Result<Day> {
        Ok(promo::day(self.day, epoch_s).ok_or(MarketError::Overflow)?)
    }

    /// Takes a bid; a campaign's later bid replaces its former one. When all places are taken, a bid of a higher score
    /// takes the place of the lowest, so that nobody can fill an auction with bids that would never win.
    pub fn place(&mut self, bid: SlotBid) -> Result<()> {
        require!(self.state == AuctionState::Bidding, MarketError::BiddingClosed);
        require!(bid.bid_nc >= self.reserve_nc, MarketError::BidBelowReserve);
        let other = |known: &&SlotBid| known.campaign != bid.campaign && known.container == bid.container;
        require!(self.bids.iter().find(other).is_none(), MarketError::ContainerHasBid);
        let full = self.bids.len() >= MAX_SLOT_BIDS;
        if let Some(known) = self.bids.iter_mut().find(|known| known.campaign == bid.campaign) {
            *known = bid;
        } else if full {
            let lowest = self.bids.iter_mut().min_by_key(|known| known.score());
            let beaten = lowest.filter(|known| known.score() < bid.score());
            *beaten.ok_or(MarketError::AuctionFull)? = bid;
        } else {
            self.bids.push(bid);
        }
        Ok(())
    }

    /// Sells the slots by position VCG, once.
    pub fn decide(&mut self) -> Result<()> {
        require!(self.state == AuctionState::Bidding, MarketError::SlotsRolled);
        let bids: Vec<Bid<Pubkey>> = self
            .bids
            .iter()
            .map(|bid| Bid { id: bid.campaign, bid_nc: bid.bid_nc, quality_bps: bid.quality_bps })
            .collect();
        let sold = vcg(&ALPHA_BPS, self.reserve_nc, &bids).map_err(|_| MarketError::Overflow)?;
        self.slots = sold
            .into_iter()
            .map(|slot| SoldSlot { campaign: slot.id, price_nc: slot.price_nc, events: 0, spent_nc: 0 })
            .collect();
        self.state = AuctionState::Sold;
        Ok(())
    }

    /// Charges one event to a campaign's slot within its daily cap and returns the price.
    pub fn charge(&mut self, campaign: &Pubkey, daily_cap_nc: u64) -> Result<u64> {
        let slot = self.slots.iter_mut().find(|slot| slot.campaign == *campaign).ok_or(MarketError::NoSlot)?;
        let spent_nc = slot.spent_nc.checked_add(slot.price_nc).ok_or(MarketError::Overflow)?;
        require!(spent_nc <= daily_cap_nc, MarketError::DailyCapReached);
        slot.spent_nc = spent_nc;
        slot.events = slot.events.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(slot.price_nc)
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
                && self.bids.len() <= MAX_SLOT_BIDS
                && self.slots.len() <= SLOTS.min(self.bids.len())
                && self.slots.iter().all(|slot| slot.price_nc >= self.reserve_nc)
                && (self.state == AuctionState::Sold || self.slots.is_empty()),
            MarketError::Invariant
        );
        Ok(())
    }
}
