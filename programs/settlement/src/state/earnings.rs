//! What the network owes one key in one mint. Claims credit it; only its owner, or the cold address it registered,
//! is ever paid from it.

use anchor_lang::prelude::*;

use waybill_mechanism::breaker::DELAY_S;

use crate::{
    constants::{DUE_LIFE_S, SWEEP_DELAY_S},
    error::SettleError,
};

/// `["earn", owner, mint]`
#[account]
#[derive(InitSpace, Debug)]
pub struct Earnings {
    pub version: u8,
    pub bump: u8,
    pub owner: Pubkey,
    pub mint: Pubkey,
    /// Payable now, in AIC base units.
    pub amount_aic: u64,
    /// Everything ever credited.
    pub total_in_aic: u64,
    /// Everything ever paid out.
    pub withdrawn_aic: u64,
    /// Wallet that `sweep_earnings` pays; default for none.
    pub sweep: Pubkey,
    /// The wallet that replaces `sweep` at `pending_from`; meaningful only when `pending_from` > 0.
    pub pending_sweep: Pubkey,
    /// Unix second at which `pending_sweep` takes effect; 0 when nothing is pending.
    pub pending_from: i64,
    pub seq: u64,
    pub rent_payer: Pubkey,
    /// Unix second from which a withdrawal that was above the pool's breaker can be taken; 0 when none waits.
    pub due_at: i64,
    /// The most that this withdrawal takes, in AIC base units.
    pub due_aic: u64,
    pub _reserved: [u8; 48],
}

impl Earnings {
    pub fn credit(&mut self, amount_aic: u64) -> Result<()> {
        self.amount_aic = self.amount_aic.checked_add(amount_aic).ok_or(SettleError::Overflow)?;
        self.total_in_aic = self.total_in_aic.checked_add(amount_aic).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// Credits earnings in the raw bytes of their account: a claim does this up to five times, and reading and writing
    /// the whole account each time would cost more than the rest of the claim. The layout test pins the offsets.
    pub fn credit_in_place(data: &mut [u8], owner: &Pubkey, mint: &Pubkey, amount_aic: u64) -> Result<()> {
        require!(
            data.len() == 8 + Self::INIT_SPACE && data.starts_with(Self::DISCRIMINATOR),
            ErrorCode::AccountDiscriminatorMismatch
        );
        require!(
            data[Self::OWNER..Self::MINT] == owner.to_bytes() && data[Self::MINT..Self::AMOUNT] == mint.to_bytes(),
            SettleError::PayeeMismatch
        );
        for at in [Self::AMOUNT, Self::TOTAL_IN] {
            let field = data.get_mut(at..at + 8).ok_or(SettleError::InvariantBroken)?;
            let old = u64::from_le_bytes(field.try_into().map_err(|_| SettleError::InvariantBroken)?);
            let new = old.checked_add(amount_aic).ok_or(SettleError::Overflow)?;
            field.copy_from_slice(&new.to_le_bytes());
        }
        Ok(())
    }

    /// Credits an account that was handed in as the earnings of `owner`.
    pub fn credit_account(info: &AccountInfo<'_>, owner: &Pubkey, mint: &Pubkey, amount_aic: u64) -> Result<()> {
        require_keys_eq!(*info.owner, crate::ID, ErrorCode::AccountOwnedByWrongProgram);
        require!(info.is_writable, SettleError::PayeeMismatch);
        Self::credit_in_place(&mut info.try_borrow_mut_data()?, owner, mint, amount_aic)
    }

    const OWNER: usize = 10;
    const MINT: usize = Self::OWNER + 32;
    const AMOUNT: usize = Self::MINT + 32;
    const TOTAL_IN: usize = Self::AMOUNT + 8;

    /// What `amount_aic` asks for: that much, or everything for `None`.
    pub fn asked(&self, amount_aic: Option<u64>) -> Result<u64> {
        let asked = amount_aic.unwrap_or(self.amount_aic);
        require!(asked > 0 && asked <= self.amount_aic, SettleError::InvalidAmount);
        Ok(asked)
    }

    /// Takes out what has waited: at most `due_aic`, and no more than is there. Everything else waits anew.
    pub fn take_due(&mut self, amount_aic: Option<u64>, now: i64) -> Result<Option<u64>> {
        let until = self.due_at.checked_add(DUE_LIFE_S).ok_or(SettleError::Overflow)?;
        if self.due_at == 0 || now >= until {
            return Ok(None);
        }
        // While one waits no other begins: nobody can make it wait longer.
        require!(now >= self.due_at, SettleError::OutflowDelayed);
        let asked = match amount_aic {
            None => self.amount_aic.min(self.due_aic),
            Some(asked) => asked,
        };
        require!(asked <= self.due_aic, SettleError::OutflowDelayed);
        (self.due_at, self.due_aic) = (0, 0);
        Ok(Some(asked))
    }

    /// Makes a withdrawal wait.
    pub fn delay(&mut self, amount_aic: u64, now: i64) -> Result<()> {
        self.due_at = now.checked_add(DELAY_S).ok_or(SettleError::Overflow)?;
        self.due_aic = amount_aic;
        Ok(())
    }

    /// Takes out `taken` base units.
    pub fn debit(&mut self, taken: u64) -> Result<u64> {
        require!(taken > 0 && taken <= self.amount_aic, SettleError::InvalidAmount);
        self.amount_aic = self.amount_aic.checked_sub(taken).ok_or(SettleError::Overflow)?;
        self.withdrawn_aic = self.withdrawn_aic.checked_add(taken).ok_or(SettleError::Overflow)?;
        Ok(taken)
    }

    /// Registers `wallet` (default removes the address), in effect after the delay. Until then the present one stays.
    pub fn propose_sweep(&mut self, wallet: Pubkey, now: i64) -> Result<()> {
        self.sweep = self.sweep_at(now);
        self.pending_sweep = wallet;
        self.pending_from = now.checked_add(SWEEP_DELAY_S).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// The sweep wallet in effect at `now`; default for none.
    pub fn sweep_at(&self, now: i64) -> Pubkey {
        if self.pending_from > 0 && now >= self.pending_from { self.pending_sweep } else { self.sweep }
    }

    /// The number of the next event about this account.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(
            self.amount_aic.checked_add(self.withdrawn_aic) == Some(self.total_in_aic)
                && (self.due_at == 0) == (self.due_aic == 0),
            SettleError::InvariantBroken
        );
        Ok(())
    }
}
