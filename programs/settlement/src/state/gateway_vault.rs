//! What a gateway has collected and not yet posted: nano-credits and the AIC that came with them, always together,
//! so that a change of rate cannot break conservation.

use anchor_lang::prelude::*;

use crate::error::SettleError;

/// `["gv", gateway, mint]`
#[account]
#[derive(InitSpace, Debug)]
pub struct GatewayVault {
    pub version: u8,
    pub bump: u8,
    pub gateway: Pubkey,
    pub mint: Pubkey,
    /// Associated token account of this gateway vault.
    pub vault: Pubkey,
    /// Settled and not yet posted, in nc.
    pub nc: u64,
    /// The AIC that settled with `nc`; equals what the vault accounts for.
    pub aic: u64,
    /// Batches of earlier epochs can no longer be posted, because one of them has been closed.
    pub first_open_epoch: u32,
    pub seq: u64,
    pub rent_payer: Pubkey,
    /// Batches of earlier epochs can no longer be posted, because workers were paid for one of them directly.
    pub first_unpaid_epoch: u32,
    pub _reserved: [u8; 60],
}

impl GatewayVault {
    pub fn credit(&mut self, nc: u64, aic: u64) -> Result<()> {
        self.nc = self.nc.checked_add(nc).ok_or(SettleError::Overflow)?;
        self.aic = self.aic.checked_add(aic).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    pub fn debit(&mut self, nc: u64, aic: u64) -> Result<()> {
        self.nc = self.nc.checked_sub(nc).ok_or(SettleError::InsufficientVault)?;
        self.aic = self.aic.checked_sub(aic).ok_or(SettleError::InsufficientVault)?;
        Ok(())
    }

    /// Refuses every later batch of `epoch` and before.
    pub fn shut_epoch(&mut self, epoch: u32) -> Result<()> {
        let next = epoch.checked_add(1).ok_or(SettleError::Overflow)?;
        self.first_open_epoch = self.first_open_epoch.max(next);
        Ok(())
    }

    /// Refuses every later batch of `epoch` and before, whose posting windows are over: their workers claim directly.
    pub fn shut_by_default(&mut self, epoch: u32) -> Result<()> {
        let next = epoch.checked_add(1).ok_or(SettleError::Overflow)?;
        self.first_unpaid_epoch = self.first_unpaid_epoch.max(next);
        Ok(())
    }

    /// The first epoch whose batches can be posted.
    #[must_use]
    pub fn first_postable_epoch(&self) -> u32 {
        self.first_open_epoch.max(self.first_unpaid_epoch)
    }

    /// The number of the next event about this vault.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    /// AIC without nc to carry it would belong to nobody.
    pub fn invariant(&self) -> Result<()> {
        require!(self.nc > 0 || self.aic == 0, SettleError::InvariantBroken);
        Ok(())
    }
}
