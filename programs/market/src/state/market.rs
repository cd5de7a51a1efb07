//! A market: one class of work in one region, with the base price at which compute is bought.

use anchor_lang::prelude::*;
use waybill_mechanism::clearing;

use crate::{
    constants::{REGION_LEN, TICKS},
    error::MarketError,
    state::MarketParams,
};

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
    /// The price every worker is paid at.
    pub base_nc: u64,
    /// The base never falls below.
    pub floor_nc: u64,
    /// The base never rises above.
    pub reserve_nc: u64,
    /// The pricing epoch in which `base_nc` last changed.
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
    /// Room for later fields, zero.
    pub _reserved: [u8; 128],
}

impl Market {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Moves the base price within the step limits, at most once per pricing epoch. Returns the old price.
    pub fn set_base(&mut self, base_nc: u64, pricing_epoch: u32, params: &MarketParams) -> Result<u64> {
        require!(pricing_epoch > self.base_epoch, MarketError::AlreadySet);
        require!((self.floor_nc..=self.reserve_nc).contains(&base_nc), MarketError::BaseOutOfBounds);
        let reached = clearing::next_base(
            self.base_nc,
            Some(base_nc),
            self.floor_nc,
            self.reserve_nc,
            params.step_up_bps,
            params.step_down_bps,
        )
        .map_err(|_| MarketError::Overflow)?;
        require!(reached == base_nc, MarketError::StepTooLarge);
        self.base_epoch = pricing_epoch;
        Ok(std::mem::replace(&mut self.base_nc, base_nc))
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
                && self.tick0_nc > 0
                && self.tick_ratio_bps > 0,
            MarketError::Invariant
        );
        Ok(())
    }
}
