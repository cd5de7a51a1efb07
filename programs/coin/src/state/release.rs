//! The release of a day, and how the settlement program's record of that day's fees is read.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    amount::{BPS, mul_div_floor},
    release::{RHO_BOUND_BPS, released},
};

use crate::{
    constants::{DAY_S, RELEASE_AFTER_S},
    error::CoinError,
    seeds,
};

/// PDA `["rel", day]`: what the day released. It stays, so that no day is released twice.
#[account]
#[derive(InitSpace, Debug)]
pub struct Release {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The amount has left the usage vault.
    pub paid: bool,
    /// Unix day.
    pub day: u32,
    /// Fees of that day, AIC base units.
    pub fee_aic: u64,
    /// The schedule's bound for that day.
    pub schedule_aic: u64,
    /// What is released.
    pub amount_aic: u64,
    /// When it may leave, if it was above the breaker's threshold, unix seconds; 0 otherwise.
    pub due_at: i64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 17],
}

impl Release {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Counts the release of a day whose fees are final.
    pub fn new(day: u32, fee_aic: u64, schedule_aic: u64, bump: u8, rent_payer: Pubkey) -> Result<Self> {
        let amount_aic = released(schedule_aic, fee_aic);
        require!(amount_aic > 0, CoinError::NothingToRelease);
        Ok(Self {
            version: Self::VERSION,
            bump,
            paid: false,
            day,
            fee_aic,
            schedule_aic,
            amount_aic,
            due_at: 0,
            rent_payer,
            _reserved: [0; 17],
        })
    }

    /// Refuses a day whose fees may still grow.
    pub fn require_over(day: u32, now: i64) -> Result<()> {
        let end = i64::from(day).checked_add(1).and_then(|next| next.checked_mul(DAY_S));
        let from = end.and_then(|end| end.checked_add(RELEASE_AFTER_S)).ok_or(CoinError::Overflow)?;
        require!(now >= from, CoinError::DayNotOver);
        Ok(())
    }

    /// What holds after every instruction that writes this account: above all that the release stays below the share of
    /// the fees at which paying oneself begins to pay.
    pub fn invariant(&self) -> Result<()> {
        let bound = mul_div_floor(self.fee_aic, RHO_BOUND_BPS, BPS).ok_or(CoinError::Overflow)?;
        require!(
            self.version == Self::VERSION
                && self.amount_aic > 0
                && self.amount_aic <= self.schedule_aic
                && self.amount_aic <= bound,
            CoinError::Invariant
        );
        Ok(())
    }
}

/// The fields of the settlement program's `FeeDay` that a release needs. `coin` is below `settlement`, so it knows that
/// account by its bytes: 8 of discriminator, version u8, bump u8, day u32, batches u32, fee u64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeRecord {
    /// Unix day.
    pub day: u32,
    /// Fees of the batches swept on that day, AIC base units.
    pub fee_aic: u64,
}

impl FeeRecord {
    /// The first eight bytes of a `FeeDay`.
    pub const DISCRIMINATOR: [u8; 8] = [163, 147, 143, 99, 21, 178, 224, 227];

    /// Reads the account of `day`, which the `settlement` program keeps at that day's address.
    pub fn read(account: &AccountInfo, settlement: &Pubkey, day: u32) -> Result<Self> {
        require_keys_eq!(*account.owner, *settlement, CoinError::WrongFeeDay);
        let data = account.try_borrow_data()?;
        let (bump, record) = Self::parse(&data).ok_or(CoinError::WrongFeeDay)?;
        require!(record.day == day, CoinError::WrongFeeDay);
        let address = Pubkey::create_program_address(&[seeds::FEE_DAY, &day.to_le_bytes(), &[bump]], settlement);
        require!(address == Ok(*account.key), CoinError::WrongFeeDay);
        Ok(record)
    }

    fn parse(data: &[u8]) -> Option<(u8, Self)> {
        let body = data.strip_prefix(Self::DISCRIMINATOR.as_slice())?;
        let day = u32::from_le_bytes(body.get(2..6)?.try_into().ok()?);
        let fee_aic = u64::from_le_bytes(body.get(10..18)?.try_into().ok()?);
        Some((*body.get(1)?, Self { day, fee_aic }))
    }
}
