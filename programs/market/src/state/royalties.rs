//! What the vendors along a model's lineage ask, frozen for one pricing epoch. Claims credit the vendor's part to the
//! address of this account; from there it is shared out in proportion to the asks.

use anchor_lang::prelude::*;
use waybill_mechanism::{
    amount::AmountError,
    lineage::{LineageSplit, MAX_LINEAGE, lineage_split},
};

use crate::{constants::ROYALTIES_KEEP_S, error::MarketError, state::MarketParams};

/// One vendor of a lineage.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoyaltyRow {
    /// Who is paid.
    pub owner: Pubkey,
    /// What its ask counts, nc per 1,000 BU: an ancestor's no more than the ceiling of its link.
    pub ask_nc: u64,
}

/// PDA `["roy", hash of the derived model, pricing_epoch]`, never written again.
#[account]
#[derive(InitSpace, Debug)]
pub struct Royalties {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Hash of the derived model.
    pub artifact: [u8; 32],
    /// The pricing epoch it holds for.
    pub pricing_epoch: u32,
    /// Sum of the asks: what the derived model's vendor asks in the price.
    pub total_nc: u64,
    /// How many rows count.
    pub len: u8,
    /// Root first, the derived model's own vendor last; rows beyond `len` are zero.
    pub rows: [RoyaltyRow; MAX_LINEAGE],
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 32],
}

coin::view! {
    /// What a price reads of a [`Royalties`].
    RoyaltyTotal of Royalties {
        /// See [`Royalties::artifact`].
        artifact: [u8; 32] = 10,
        /// See [`Royalties::pricing_epoch`].
        pricing_epoch: u32 = 42,
        /// See [`Royalties::total_nc`].
        total_nc: u64 = 46,
    }
}

impl Royalties {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// The rows that count.
    #[must_use]
    pub fn rows(&self) -> &[RoyaltyRow] {
        self.rows.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Adds the next vendor of the lineage.
    pub fn push(&mut self, row: RoyaltyRow) -> Result<()> {
        *self.rows.get_mut(usize::from(self.len)).ok_or(MarketError::LineageFull)? = row;
        self.len = self.len.checked_add(1).ok_or(MarketError::Overflow)?;
        self.total_nc = self.total_nc.checked_add(row.ask_nc).ok_or(MarketError::Overflow)?;
        Ok(())
    }

    /// Divides an amount among the rows: floors, the rest to the derived model's own vendor.
    pub fn split(&self, amount: u64) -> std::result::Result<LineageSplit, AmountError> {
        let mut asks = [0; MAX_LINEAGE];
        for (ask, row) in asks.iter_mut().zip(self.rows()) {
            *ask = row.ask_nc;
        }
        lineage_split(amount, asks.get(..self.rows().len()).unwrap_or_default())
    }

    /// Whether no claim can need it any more.
    pub fn is_over(&self, now: i64, params: &MarketParams) -> Result<bool> {
        let next = self.pricing_epoch.checked_add(1).ok_or(MarketError::BadClock)?;
        let end = params.pricing_start(next)?;
        Ok(now >= end.checked_add(ROYALTIES_KEEP_S).ok_or(MarketError::BadClock)?)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        let total = self.rows().iter().try_fold(0u64, |sum, row| sum.checked_add(row.ask_nc));
        require!(
            self.version == Self::VERSION
                && (2..=MAX_LINEAGE).contains(&usize::from(self.len))
                && self.rows().iter().all(|row| row.owner != Pubkey::default())
                && total == Some(self.total_nc),
            MarketError::Invariant
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_the_accounts() {
        let royalties = Royalties {
            version: Royalties::VERSION,
            bump: 1,
            artifact: [2; 32],
            pricing_epoch: 3,
            total_nc: 4,
            len: 5,
            rows: [RoyaltyRow { owner: Pubkey::new_from_array([6; 32]), ask_nc: 7 }; MAX_LINEAGE],
            rent_payer: Pubkey::new_from_array([8; 32]),
            _reserved: [0; 32],
        };
        let mut bytes = Vec::new();
        royalties.try_serialize(&mut bytes).unwrap();
        let view = RoyaltyTotal::try_deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(view, RoyaltyTotal { artifact: [2; 32], pricing_epoch: 3, total_nc: 4 });
    }
}
