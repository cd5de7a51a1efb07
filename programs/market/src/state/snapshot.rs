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
