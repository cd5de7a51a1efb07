//! The market's configuration: authorities, pause flags and the tunables of prices, stakes and time.

use anchor_lang::prelude::*;
use coin::{
    authority::{Authorities, PendingAuthority, pause},
    clock,
    constants::{EPOCH_MAX_S, EPOCH_MIN_S},
};
use waybill_mechanism::amount::{EPOCHS_PER_PRICING_EPOCH, debit_aic, pricing_epoch};

use crate::{
    constants::{
        ALPHA_BPS, ASK_NOTICE_MAX_S, FEE_MAX_BPS, HEADROOM_BPS, OBSERVE_EPOCHS, OWNER_CAP_BPS, ROLES, STEP_MAX_BPS,
        UNBONDING_MAX_S, UNITS_PER_AIC,
    },
    error::MarketError,
    state::{Role, Tier, Tunables},
};

/// Tunables. Shares are in bps of the price, times in seconds, stakes in AIC base units.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Debug, PartialEq, Eq)]
pub struct MarketParams {
    /// φ, the protocol's share.
    pub fee_bps: u16,
    /// κ of the vendor: the most its share can be.
    pub kappa_vendor_bps: u16,
    /// κ of the OEM.
    pub kappa_oem_bps: u16,
    /// κ of the weaver.
    pub kappa_weaver_bps: u16,
    /// The most a container may give its curators.
    pub beta_max_bps: u16,
    /// The most an ask or base price rises per pricing epoch.
    pub step_up_bps: u16,
    /// The most an ask or base price falls per pricing epoch.
    pub step_down_bps: u16,
    /// Length of a settlement epoch; a pricing epoch is 24 of them. Must equal the settlement program's.
    pub epoch_s: u32,
    /// How long before a pricing epoch an ask for it must be posted; at least one settlement epoch, because
    /// snapshots of a pricing epoch may be frozen during the last settlement epoch before it.
    pub ask_notice_s: u32,
    /// Time between `begin_unstake` and `finish_unstake`.
    pub unbonding_s: u32,
    /// Lowest floor of a market, nc per 1,000 BU.
    pub min_base_nc: u64,
    /// Minimum stake of a party per role, by number of [`Role`].
    pub min_stake: [u64; ROLES],
}

impl MarketParams {
    /// Refuses values outside the compiled bounds.
    pub fn validate(&self) -> Result<()> {
        let shares: u32 =
            [self.fee_bps, self.kappa_vendor_bps, self.kappa_oem_bps, self.kappa_weaver_bps, self.beta_max_bps]
                .iter()
                .map(|share| u32::from(*share))
                .sum();
        require!(
            shares < 10_000
                && self.fee_bps <= FEE_MAX_BPS
                && (1..=STEP_MAX_BPS).contains(&self.step_up_bps)
                && (1..=STEP_MAX_BPS).contains(&self.step_down_bps)
                && (EPOCH_MIN_S..=EPOCH_MAX_S).contains(&self.epoch_s)
                && (self.epoch_s..=ASK_NOTICE_MAX_S).contains(&self.ask_notice_s)
                && (1..=UNBONDING_MAX_S).contains(&self.unbonding_s)
                && self.min_base_nc > 0,
            MarketError::ParamOutOfBounds
        );
        Ok(())
    }

    /// The settlement epoch of a moment.
    pub fn epoch(&self, now: i64) -> Result<u32> {
        Ok(clock::epoch(now, self.epoch_s).ok_or(MarketError::BadClock)?)
    }

    /// The pricing epoch of a moment.
    pub fn pricing_epoch(&self, now: i64) -> Result<u32> {
        Ok(pricing_epoch(self.epoch(now)?))
    }

    /// When a pricing epoch begins, unix seconds.
    pub fn pricing_start(&self, pricing: u32) -> Result<i64> {
        let seconds = u64::from(pricing) * u64::from(EPOCHS_PER_PRICING_EPOCH) * u64::from(self.epoch_s);
        Ok(i64::try_from(seconds).map_err(|_| MarketError::BadClock)?)
    }

    /// Whether the snapshot of a pricing epoch may be frozen now: during that epoch, or during the last
    /// settlement epoch before it.
    pub fn may_freeze(&self, pricing: u32, now: i64) -> Result<bool> {
        let epoch = self.epoch(now)?;
        let next = epoch.checked_add(1).ok_or(MarketError::BadClock)?;
        Ok(pricing == pricing_epoch(epoch) || pricing == pricing_epoch(next))
    }

    /// The first pricing epoch for which an ask posted now can count.
    pub fn ask_epoch(&self, now: i64) -> Result<u32> {
        let noticed = now.checked_add(i64::from(self.ask_notice_s)).ok_or(MarketError::BadClock)?;
        Ok(self.pricing_epoch(noticed)?.checked_add(1).ok_or(MarketError::BadClock)?)
    }

    /// Minimum stake of a role.
    #[must_use]
    pub fn min_stake(&self, role: Role) -> u64 {
        self.min_stake[usize::from(role as u8)]
    }

    /// Minimum stake of a party: a provider's grows with its tier.
    pub fn min_stake_of(&self, role: Role, tier: Tier) -> Result<u64> {
        Ok(self.min_stake(role).checked_mul(tier.stakes()).ok_or(MarketError::Overflow)?)
    }

    /// The pricing epoch of a moment in whose first part it lies, when gateways report the demand of the one before.
    pub fn observing(&self, now: i64) -> Result<u32> {
        let epoch = self.epoch(now)?;
        require!(epoch % EPOCHS_PER_PRICING_EPOCH < OBSERVE_EPOCHS, MarketError::NotObserving);
        Ok(pricing_epoch(epoch))
    }

    /// The pricing epoch of a moment in which books clear for the next one: after the reports, and before snapshots of
    /// the next may be frozen.
    pub fn clearing(&self, now: i64) -> Result<u32> {
        let epoch = self.epoch(now)?;
        let place = epoch % EPOCHS_PER_PRICING_EPOCH;
        require!((OBSERVE_EPOCHS..EPOCHS_PER_PRICING_EPOCH - 1).contains(&place), MarketError::NotClearing);
        Ok(pricing_epoch(epoch))
    }
}

/// Tunables of the books. Zero means the compiled default, which is what a deployment without them has.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BookParams {
    /// α, see [`ALPHA_BPS`].
    pub alpha_bps: u16,
    /// η, see [`HEADROOM_BPS`].
    pub headroom_bps: u16,
    /// See [`OWNER_CAP_BPS`].
    pub owner_cap_bps: u16,
    /// See [`UNITS_PER_AIC`].
    pub units_per_aic: u32,
}

impl BookParams {
    /// Refuses values outside the compiled bounds.
    pub fn validate(&self) -> Result<()> {
        require!(
            [self.alpha_bps, self.headroom_bps, self.owner_cap_bps].iter().all(|bps| *bps <= 10_000),
            MarketError::ParamOutOfBounds
        );
        Ok(())
    }

    /// Weight of a new observation, in bps.
    #[must_use]
    pub fn alpha_bps(&self) -> u16 {
        if self.alpha_bps == 0 { ALPHA_BPS } else { self.alpha_bps }
    }

    /// Capacity above demand, in bps of it.
    #[must_use]
    pub fn headroom_bps(&self) -> u16 {
        if self.headroom_bps == 0 { HEADROOM_BPS } else { self.headroom_bps }
    }

    /// The most of a book that one owner may add to, in bps.
    #[must_use]
    pub fn owner_cap_bps(&self) -> u16 {
        if self.owner_cap_bps == 0 { OWNER_CAP_BPS } else { self.owner_cap_bps }
    }

    /// BU per pricing epoch that one AIC at stake answers for.
    #[must_use]
    pub fn units_per_aic(&self) -> u32 {
        if self.units_per_aic == 0 { UNITS_PER_AIC } else { self.units_per_aic }
    }

    /// The capacity in BU per pricing epoch that a stake answers for.
    pub fn units_of(&self, stake: u64) -> Result<u64> {
        let units = u128::from(stake) * u128::from(self.units_per_aic())
            / u128::from(10u64.pow(u32::from(crate::constants::DECIMALS)));
        Ok(u64::try_from(units).map_err(|_| MarketError::Overflow)?)
    }
}

/// PDA `["cfg"]`, one per deployment.
#[account]
#[derive(InitSpace, Debug)]
pub struct MarketConfig {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Pause flags, see [`pause`].
    pub pause_flags: u16,
    /// The AIC mint, in which stake is held.
    pub mint: Pubkey,
    /// The only authority that may slash: PDA `["slasher"]` of the settlement program.
    pub slasher: Pubkey,
    /// Who may do what.
    pub authorities: Authorities,
    /// A proposed change of authority.
    pub pending: PendingAuthority,
    /// Tunables.
    pub params: MarketParams,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Tunables of the books.
    pub book: BookParams,
    /// Minimum stake of a role in nc (1e-9 USD), by number of [`Role`], from which `roll_minima` renews the minimum in
    /// AIC; 0 = the minimum in AIC stays as it is.
    pub min_stake_nc: [u64; ROLES],
    /// The pricing epoch in which the minima were last converted.
    pub minima_epoch: u32,
    /// Room for later fields, zero.
    pub _reserved: [u8; 186],
}

impl MarketConfig {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Refuses when one of the flags is set.
    pub fn require_running(&self, flags: u16) -> Result<()> {
        require_running(self.pause_flags, flags)
    }

    /// What the params authority may change.
    #[must_use]
    pub fn tunables(&self) -> Tunables {
        Tunables { params: self.params.clone(), book: self.book, min_stake_nc: self.min_stake_nc }
    }

    /// Puts proposed parameters into effect and returns what held before.
    pub fn apply(&mut self, tunables: Tunables) -> Tunables {
        let old = self.tunables();
        let Tunables { params, book, min_stake_nc } = tunables;
        (self.params, self.book, self.min_stake_nc) = (params, book, min_stake_nc);
        // New amounts in USD are converted at once.
        self.minima_epoch = 0;
        old
    }

    /// Converts the minimum stakes that are given in USD, at `rate` AIC base units per USD, rounded up; once per
    /// pricing epoch.
    pub fn convert_minima(&mut self, rate: u64, now: i64) -> Result<()> {
        let pricing_epoch = self.params.pricing_epoch(now)?;
        require!(pricing_epoch > self.minima_epoch, MarketError::MinimaUnchanged);
        require!(self.min_stake_nc.iter().any(|nc| *nc > 0), MarketError::MinimaUnchanged);
        for (aic, nc) in self.params.min_stake.iter_mut().zip(self.min_stake_nc) {
            if nc > 0 {
                *aic = debit_aic(nc, rate).ok_or(MarketError::Overflow)?;
            }
        }
        self.minima_epoch = pricing_epoch;
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
            self.version == Self::VERSION && self.authorities.complete() && self.pause_flags & !pause::ALL == 0,
            MarketError::Invariant
        );
        self.book.validate()?;
        self.params.validate()
    }
}

coin::view! {
    /// The tunables of a [`MarketConfig`].
    MarketTerms of MarketConfig {
        /// See [`MarketConfig::pause_flags`].
        pause_flags: u16 = 10,
        /// See [`MarketConfig::params`].
        params: MarketParams = 237,
        /// See [`MarketConfig::book`].
        book: BookParams = 367,
    }
}

impl MarketTerms {
    /// [`MarketConfig::require_running`].
    pub fn require_running(&self, flags: u16) -> Result<()> {
        require_running(self.pause_flags, flags)
    }
}

fn require_running(pause_flags: u16, flags: u16) -> Result<()> {
    require!(pause_flags & flags == 0, MarketError::Paused);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_view_is_the_accounts() {
        let key = |byte: u8| Pubkey::new_from_array([byte; 32]);
        let book = BookParams { alpha_bps: 1, headroom_bps: 2, owner_cap_bps: 3, units_per_aic: 4 };
        let config = MarketConfig {
            version: MarketConfig::VERSION,
            bump: 9,
            pause_flags: 0x0506,
            mint: key(1),
            slasher: key(2),
            authorities: Authorities { admin: key(3), params: key(4), pause: key(5), resume: key(6) },
            pending: PendingAuthority::none(),
            params: params(),
            seq: 7,
            rent_payer: key(8),
            book,
            min_stake_nc: [10; ROLES],
            minima_epoch: 11,
            _reserved: [0; 186],
        };
        let mut bytes = Vec::new();
        config.try_serialize(&mut bytes).unwrap();
        let view = MarketTerms::try_deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(view, MarketTerms { pause_flags: 0x0506, params: params(), book });
    }

    /// The last settlement epoch of a pricing epoch, counted from its first.
    const LAST: i64 = EPOCHS_PER_PRICING_EPOCH as i64 - 1;

    pub(crate) fn params() -> MarketParams {
        MarketParams {
            fee_bps: 300,
            kappa_vendor_bps: 3_000,
            kappa_oem_bps: 2_000,
            kappa_weaver_bps: 2_000,
            beta_max_bps: 1_000,
            step_up_bps: 500,
            step_down_bps: 1_000,
            epoch_s: 100,
            ask_notice_s: 100,
            unbonding_s: 600,
            min_base_nc: 1_000,
            min_stake: [0; ROLES],
        }
    }

    #[test]
    fn shares_leave_something_for_compute() {
        let mut at_limit = params();
        at_limit.kappa_vendor_bps = 10_000 - 300 - 2_000 - 2_000 - 1_000;
        assert_eq!(at_limit.validate().unwrap_err(), MarketError::ParamOutOfBounds.into());
        at_limit.kappa_vendor_bps -= 1;
        assert!(at_limit.validate().is_ok());
    }

    #[test]
    fn notice_is_never_shorter_than_the_time_in_which_snapshots_freeze() {
        let mut short = params();
        short.ask_notice_s = 99;
        assert_eq!(short.validate().unwrap_err(), MarketError::ParamOutOfBounds.into());
    }

    #[test]
    fn the_next_pricing_epoch_freezes_during_the_last_settlement_epoch() {
        let params = params();
        let last = LAST * 100;
        assert!(!params.may_freeze(1, last - 1).unwrap());
        assert!(params.may_freeze(1, last).unwrap());
        assert!(params.may_freeze(0, last + 99).unwrap());
        assert!(!params.may_freeze(0, last + 100).unwrap());
        assert!(!params.may_freeze(2, last).unwrap());
    }

    #[test]
    fn reports_come_first_then_the_book_clears_then_snapshots_freeze() {
        let params = params();
        for place in 0..24 {
            let now = (24 + place) * 100 + 99;
            assert_eq!(params.observing(now).ok(), (place < 12).then_some(1), "epoch {place}");
            assert_eq!(params.clearing(now).ok(), (12..23).contains(&place).then_some(1), "epoch {place}");
            assert!(!(params.clearing(now).is_ok() && params.may_freeze(2, now).unwrap()));
        }
    }

    #[test]
    fn a_stake_answers_for_capacity_in_proportion() {
        let default = BookParams::default();
        assert_eq!(default.units_of(500_000_000_000).unwrap(), 8_000_000);
        assert_eq!(default.units_of(0).unwrap(), 0);
        assert_eq!(default.units_of(u64::MAX).unwrap(), 295_147_905_179_352);
        let tuned = BookParams { units_per_aic: 1, ..default };
        assert_eq!(tuned.units_of(1_999_999_999).unwrap(), 1);
    }

    #[test]
    fn an_ask_that_comes_when_snapshots_freeze_counts_one_epoch_later() {
        let params = params();
        let last = LAST * 100;
        assert_eq!(params.ask_epoch(last - 1).unwrap(), 1);
        assert_eq!(params.ask_epoch(last).unwrap(), 2);
    }
}
