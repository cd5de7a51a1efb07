//! A campaign: who promotes which container, with what money, and what one event may cost it.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    pacing::{MAX_PACE_BPS, next_pace, paced_bid},
    promo::{self, NEW_QUALITY_BPS, seasoning_s},
    vcg::QUALITY_BPS,
};

use crate::error::MarketError;

/// Whether a campaign bids. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CampaignState {
    /// Bids, and pays for the events of slots it won.
    Active,
    /// Bids no more; still pays for the events of slots it won.
    Closing,
}

/// PDA `["camp", owner, id]`. Its tokens lie in the token account `["escrow", campaign]`, whose authority is this
/// account. A day is a pricing epoch.
#[account]
#[derive(InitSpace, Debug)]
pub struct Campaign {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Bump of the escrow.
    pub escrow_bump: u8,
    /// Whether it bids.
    pub state: CampaignState,
    /// The owner's number for it.
    pub id: u32,
    /// Id of the market whose slots it bids for: one that a stage of the container buys in.
    pub market: u32,
    /// Who pays, and gets back what is not spent.
    pub owner: Pubkey,
    /// Id of the container it promotes.
    pub container: [u8; 32],
    /// What it last said an event is worth to it, nc, before pacing; 0 = it never bid.
    pub bid_nc: u64,
    /// The most that the events of one day may cost, nc.
    pub daily_cap_nc: u64,
    /// What the events of one day should cost, nc: pacing scales the bid so that spending meets it.
    pub daily_target_nc: u64,
    /// Measured quality, 5,000 to 15,000 bps.
    pub quality_bps: u16,
    /// λ of pacing, 500 to 10,000 bps of the bid.
    pub pace_bps: u16,
    /// Charged since λ last moved, nc.
    pub paced_spend_nc: u64,
    /// The latest day it has bid for; 0 = none.
    pub last_day: u32,
    /// All events charged.
    pub events: u64,
    /// What they cost, nc.
    pub spent_nc: u64,
    /// What they cost, AIC base units.
    pub spent_aic: u64,
    /// When it was closed, unix seconds; 0 = it was not.
    pub closing_at: i64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

/// What an owner chooses of a campaign.
#[derive(Clone, Copy, Debug)]
pub struct CampaignTerms {
    /// The owner's number for it.
    pub id: u32,
    /// Id of the market.
    pub market: u32,
    /// The owner.
    pub owner: Pubkey,
    /// Id of the container.
    pub container: [u8; 32],
    /// nc, at least the target.
    pub daily_cap_nc: u64,
    /// nc, at least the reserve.
    pub daily_target_nc: u64,
}

impl Campaign {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// A campaign of new quality that bids its whole bid.
    pub fn new(terms: CampaignTerms, bump: u8, escrow_bump: u8, rent_payer: Pubkey) -> Self {
        Self {
            version: Self::VERSION,
            bump,
            escrow_bump,
            state: CampaignState::Active,
            id: terms.id,
            market: terms.market,
            owner: terms.owner,
            container: terms.container,
            bid_nc: 0,
            daily_cap_nc: terms.daily_cap_nc,
            daily_target_nc: terms.daily_target_nc,
            quality_bps: NEW_QUALITY_BPS,
            pace_bps: MAX_PACE_BPS,
            paced_spend_nc: 0,
            last_day: 0,
            events: 0,
            spent_nc: 0,
            spent_aic: 0,
            closing_at: 0,
            seq: 0,
            rent_payer,
            _reserved: [0; 64],
        }
    }

    /// Bids for a day and returns what enters the auction: the bid times λ, rounded down. λ moves once per day, with
    /// what was charged since it last moved; the charges of a day arrive when its batches are final.
    pub fn bid(&mut self, day: u32, bid_nc: u64) -> Result<u64> {
        require!(self.state == CampaignState::Active, MarketError::CampaignClosing);
        if day > self.last_day {
            if self.last_day != 0 {
                self.pace_bps = next_pace(self.pace_bps, self.daily_target_nc, self.paced_spend_nc);
                self.paced_spend_nc = 0;
            }
            self.last_day = day;
        }
        self.bid_nc = bid_nc;
        let paced = paced_bid(bid_nc, self.pace_bps);
        require!(paced >= promo::RESERVE_NC, MarketError::BidBelowReserve);
        Ok(paced)
    }

    /// One event was charged.
    pub fn charge(&mut self, price_nc: u64, aic: u64) -> Result<()> {
        let add = |sum: u64, more: u64| sum.checked_add(more).ok_or(MarketError::Overflow);
        self.events = add(self.events, 1)?;
        self.spent_nc = add(self.spent_nc, price_nc)?;
        self.spent_aic = add(self.spent_aic, aic)?;
        self.paced_spend_nc = add(self.paced_spend_nc, price_nc)?;
        Ok(())
    }

    /// Ends the bidding.
    pub fn end_bidding(&mut self, now: i64) -> Result<()> {
        require!(self.state == CampaignState::Active, MarketError::CampaignClosing);
        self.state = CampaignState::Closing;
        self.closing_at = now;
        Ok(())
    }

    /// The second from which nothing can be charged any more: a day after closing, and the end of the charges of the
    /// last day it bid for.
    pub fn over_at(&self, epoch_s: u32) -> Result<i64> {
        require!(self.state == CampaignState::Closing, MarketError::CampaignOpen);
        let waited = self.closing_at.checked_add(seasoning_s(epoch_s)).ok_or(MarketError::Overflow)?;
        let charged = promo::day(self.last_day, epoch_s).ok_or(MarketError::Overflow)?.charges_until;
        Ok(waited.max(charged))
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
                && self.owner != Pubkey::default()
                && QUALITY_BPS.contains(&self.quality_bps)
                && (promo::RESERVE_NC..=self.daily_cap_nc).contains(&self.daily_target_nc)
                && self.paced_spend_nc <= self.spent_nc
                && (self.state == CampaignState::Active) == (self.closing_at == 0),
            MarketError::Invariant
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign() -> Campaign {
        let terms = CampaignTerms {
            id: 1,
            market: 1,
            owner: Pubkey::new_from_array([7; 32]),
            container: [8; 32],
            daily_cap_nc: 2_000_000,
            daily_target_nc: 1_000_000,
        };
        Campaign::new(terms, 1, 2, Pubkey::default())
    }

    #[test]
    fn the_bid_follows_the_designs_series_of_spending() {
        let mut campaign = campaign();
        assert_eq!(campaign.bid(10, 1_000_000).unwrap(), 1_000_000);
        let days = [(2_000, 8_000), (1_600, 7_040), (1_200, 6_758), (900, 6_893), (700, 7_306), (1_000, 7_306)];
        for ((spent, pace), day) in days.into_iter().zip(11u32..) {
            campaign.charge(spent * 1_000, 1).unwrap();
            assert_eq!(campaign.bid(day, 1_000_000).unwrap(), pace * 100);
            assert_eq!(campaign.bid(day, 1_000_000).unwrap(), pace * 100, "a second bid of the day moves nothing");
            campaign.invariant().unwrap();
        }
        assert_eq!(campaign.bid(9, 1_000_000).unwrap(), 730_600, "nor does a bid for an earlier day");
        assert_eq!(campaign.last_day, 16);
    }

    #[test]
    fn escrow_waits_for_the_last_day_and_for_a_day_after_closing() {
        let mut campaign = campaign();
        assert_eq!(campaign.over_at(3_600).unwrap_err(), MarketError::CampaignOpen.into());
        campaign.bid(10, 60_000).unwrap();
        campaign.end_bidding(864_000).unwrap();
        assert_eq!(campaign.over_at(3_600).unwrap(), 13 * 86_400);
        assert_eq!(campaign.end_bidding(864_001).unwrap_err(), MarketError::CampaignClosing.into());
        assert_eq!(campaign.bid(11, 60_000).unwrap_err(), MarketError::CampaignClosing.into());
        campaign.closing_at = 20 * 86_400;
        assert_eq!(campaign.over_at(3_600).unwrap(), 21 * 86_400);
    }
}
