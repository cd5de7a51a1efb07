//! The price and split of one container stage, frozen for one pricing epoch: all that a claim needs to know.

use anchor_lang::prelude::*;

use crate::error::MarketError;

/// Who is paid besides the worker's operator and the curator, which differ by line.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payees {
    /// Owner of the model. For a derived model its royalty table: what is credited to that address is shared out to the
    /// vendors of the lineage.
    pub vendor: Pubkey,
    /// Who optimised it; the default key = nobody, share 0.
    pub oem: Pubkey,
    /// Owner of the container.
    pub weaver: Pubkey,
}

/// PDA `["snap", container id, stage, pricing_epoch]`, never written again.
#[account]
#[derive(InitSpace, Debug)]
pub struct SplitSnapshot {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Index of the stage.
    pub stage: u8,
    /// The pricing epoch it holds for.
    pub pricing_epoch: u32,
    /// Id of the container.
    pub container: [u8; 32],
    /// Hash of the artifact that the stage runs.
    pub artifact: [u8; 32],
    /// What a consumer pays, nc per 1,000 BU.
    pub price_nc: u64,
    /// The weighted base price in it, nc per 1,000 BU.
    pub base_nc: u64,
    /// Shares of vendor, OEM, compute, curator, weaver and protocol fee; they sum to 10,000.
    pub bps: [u16; 6],
    /// Who is paid.
    pub payees: Payees,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Whether the model is derived: the vendor's payee is then a royalty table.
    pub derived: bool,
    /// Room for later fields, zero.
    pub _reserved: [u8; 63],
}

coin::view! {
    /// What a claim reads of a [`SplitSnapshot`].
    Shares of SplitSnapshot {
        /// See [`SplitSnapshot::stage`].
        stage: u8 = 10,
        /// See [`SplitSnapshot::pricing_epoch`].
        pricing_epoch: u32 = 11,
        /// See [`SplitSnapshot::container`].
        container: [u8; 32] = 15,
        /// See [`SplitSnapshot::bps`].
        bps: [u16; 6] = 95,
        /// See [`SplitSnapshot::payees`].
        payees: Payees = 107,
    }
}

impl SplitSnapshot {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        let sum: u32 = self.bps.iter().map(|share| u32::from(*share)).sum();
        require!(
            self.version == Self::VERSION
                && sum == 10_000
                && self.price_nc >= self.base_nc
                && (self.payees.oem != Pubkey::default() || self.bps[1] == 0),
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
        let key = |byte: u8| Pubkey::new_from_array([byte; 32]);
        let snapshot = SplitSnapshot {
            version: SplitSnapshot::VERSION,
            bump: 1,
            stage: 2,
            pricing_epoch: 3,
            container: [4; 32],
            artifact: [5; 32],
            price_nc: 6,
            base_nc: 7,
            bps: [8, 9, 10, 11, 12, 13],
            payees: Payees { vendor: key(14), oem: key(15), weaver: key(16) },
            rent_payer: key(17),
            derived: true,
            _reserved: [0; 63],
        };
        let mut bytes = Vec::new();
        snapshot.try_serialize(&mut bytes).unwrap();
        let SplitSnapshot { stage, pricing_epoch, container, bps, payees, .. } = snapshot;
        let view = Shares::try_deserialize(&mut bytes.as_slice()).unwrap();
        assert_eq!(view, Shares { stage, pricing_epoch, container, bps, payees });
    }
}
