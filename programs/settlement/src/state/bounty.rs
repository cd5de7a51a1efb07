//! What a sponsor, most often a vendor, adds to the share of one curator for one container at one gateway. Its tokens lie
//! in the pool from the first deposit on.

use anchor_lang::prelude::*;
use waybill_mechanism::amount::bps_floor;

use crate::{
    constants::{MAX_BOUNTY_BPS, MAX_WINDOW_S},
    error::SettleError,
    state::SettleConfig,
};

/// What a bounty promises; fixed while it exists.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct BountyTerms {
    /// Added to the curator's share, in bps of what a line is worth.
    pub top_up_bps: u16,
    /// The least share that the container itself must give for the bounty to add anything, in bps: it does not replace
    /// what the weaver withdraws.
    pub min_bps: u16,
}

/// The place of a line in a gateway's settlement, by epoch, shard and index.
#[derive(
    AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord,
)]
pub struct LinePlace {
    pub epoch: u32,
    pub shard: u16,
    pub index: u32,
}

/// `["bounty", gateway, container, curator, sponsor]`
#[account]
#[derive(InitSpace, Debug)]
pub struct Bounty {
    pub version: u8,
    pub bump: u8,
    pub sponsor: Pubkey,
    pub gateway: Pubkey,
    pub container: [u8; 32],
    pub curator: Pubkey,
    pub terms: BountyTerms,
    /// What is left, in AIC base units.
    pub amount_aic: u64,
    /// Everything ever deposited.
    pub total_in_aic: u64,
    /// Everything ever paid to the curator.
    pub paid_aic: u64,
    /// Lines before this place are paid, skipped or older than the bounty.
    pub next: LinePlace,
    /// Lines of this settlement epoch and later add nothing; 0 = the sponsor has not ended it.
    pub end_epoch: u32,
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 64],
}

impl BountyTerms {
    pub fn validate(&self) -> Result<()> {
        let within = (1..=MAX_BOUNTY_BPS).contains(&self.top_up_bps) && self.min_bps <= MAX_BOUNTY_BPS;
        require!(within, SettleError::BountyTerms);
        Ok(())
    }
}

impl Bounty {
    pub fn deposit(&mut self, amount_aic: u64) -> Result<()> {
        require!(amount_aic > 0, SettleError::InvalidAmount);
        require!(self.end_epoch == 0, SettleError::BountyEnded);
        self.amount_aic = self.amount_aic.checked_add(amount_aic).ok_or(SettleError::Overflow)?;
        self.total_in_aic = self.total_in_aic.checked_add(amount_aic).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// Takes out what a line worth `line_aic` earns its curator: rounded down, and no more than is left. Lines come in
    /// the order of their places, so none is paid twice.
    pub fn pay(&mut self, place: LinePlace, line_aic: u64) -> Result<u64> {
        require!(place >= self.next, SettleError::BountyOrder);
        require!(self.end_epoch == 0 || place.epoch < self.end_epoch, SettleError::BountyEnded);
        let paid = bps_floor(line_aic, self.terms.top_up_bps).min(self.amount_aic);
        require!(paid > 0, SettleError::InvalidAmount);
        self.next = LinePlace { index: place.index.checked_add(1).ok_or(SettleError::Overflow)?, ..place };
        self.amount_aic = self.amount_aic.checked_sub(paid).ok_or(SettleError::Overflow)?;
        self.paid_aic = self.paid_aic.checked_add(paid).ok_or(SettleError::Overflow)?;
        Ok(paid)
    }

    /// Ends it with the running settlement epoch.
    pub fn end(&mut self, epoch: u32) -> Result<()> {
        require!(self.end_epoch == 0, SettleError::BountyEnded);
        self.end_epoch = epoch.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// When its curator has had its time to claim: the last line that counts can be posted, challenged and claimed within
    /// the longest windows that any configuration allows.
    pub fn closes_at(&self, config: &SettleConfig) -> Result<i64> {
        require!(self.end_epoch > 0, SettleError::BountyOpen);
        let end = i64::from(self.end_epoch).checked_mul(i64::from(config.epoch_s)).ok_or(SettleError::Overflow)?;
        let windows = [config.post_window_s, config.challenge_s, config.claim_window_s];
        windows
            .iter()
            .try_fold(end, |sum, window| sum.checked_add(i64::from((*window).min(MAX_WINDOW_S))))
            .ok_or_else(|| SettleError::Overflow.into())
    }

    /// The number of the next event about this account.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(self.amount_aic.checked_add(self.paid_aic) == Some(self.total_in_aic), SettleError::InvariantBroken);
        self.terms.validate()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bounty(amount_aic: u64) -> Bounty {
        Bounty {
            version: 1,
            bump: 1,
            sponsor: Pubkey::default(),
            gateway: Pubkey::default(),
            container: [0; 32],
            curator: Pubkey::default(),
            terms: BountyTerms { top_up_bps: 250, min_bps: 500 },
            amount_aic,
            total_in_aic: amount_aic,
            paid_aic: 0,
            next: LinePlace { epoch: 10, shard: 0, index: 0 },
            end_epoch: 0,
            seq: 0,
            rent_payer: Pubkey::default(),
            _reserved: [0; 64],
        }
    }

    fn place(epoch: u32, shard: u16, index: u32) -> LinePlace {
        LinePlace { epoch, shard, index }
    }

    #[test]
    fn lines_are_paid_in_order_and_each_once() {
        let mut bounty = bounty(1_000);
        assert_eq!(bounty.pay(place(9, 9, 9), 10_000).unwrap_err(), SettleError::BountyOrder.into());
        for (at, next) in [(place(10, 0, 3), place(10, 0, 4)), (place(10, 1, 0), place(10, 1, 1))] {
            assert_eq!(bounty.pay(at, 10_000).unwrap(), 250);
            assert_eq!(bounty.next, next);
            assert_eq!(bounty.pay(at, 10_000).unwrap_err(), SettleError::BountyOrder.into());
        }
        assert_eq!(bounty.pay(place(10, 0, 9), 10_000).unwrap_err(), SettleError::BountyOrder.into());
        // What is left is all there is, and then nothing.
        assert_eq!(bounty.pay(place(11, 0, 0), u64::MAX).unwrap(), 500);
        assert_eq!(bounty.pay(place(12, 0, 0), 10_000).unwrap_err(), SettleError::InvalidAmount.into());
        bounty.invariant().unwrap();
    }

    #[test]
    fn an_end_lets_the_running_epoch_count() {
        let mut bounty = bounty(1_000);
        bounty.end(12).unwrap();
        assert_eq!(bounty.end(13).unwrap_err(), SettleError::BountyEnded.into());
        assert_eq!(bounty.deposit(1).unwrap_err(), SettleError::BountyEnded.into());
        assert_eq!(bounty.pay(place(13, 0, 0), 10_000).unwrap_err(), SettleError::BountyEnded.into());
        assert_eq!(bounty.pay(place(12, 0, 0), 10_000).unwrap(), 250);
    }

    #[test]
    fn amounts_at_their_limits_have_named_errors() {
        let mut bounty = bounty(u64::MAX);
        assert_eq!(bounty.deposit(0).unwrap_err(), SettleError::InvalidAmount.into());
        assert_eq!(bounty.deposit(1).unwrap_err(), SettleError::Overflow.into());
        assert_eq!(bounty.pay(place(10, 0, u32::MAX), 10_000).unwrap_err(), SettleError::Overflow.into());
        assert_eq!(bounty.end(u32::MAX).unwrap_err(), SettleError::Overflow.into());
        for terms in [(0, 0), (MAX_BOUNTY_BPS + 1, 0), (1, MAX_BOUNTY_BPS + 1)] {
            let terms = BountyTerms { top_up_bps: terms.0, min_bps: terms.1 };
            assert_eq!(terms.validate().unwrap_err(), SettleError::BountyTerms.into());
        }
    }
}
