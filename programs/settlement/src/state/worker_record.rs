//! What audits found about one worker. The number of passes in a row decides how often it is audited.

use anchor_lang::prelude::*;
use waybill_mechanism::audit::audit_rate_bps;

use crate::{error::SettleError, state::Outcome};

/// `["wrec", worker]`. Kept for good: an account that is created anew would forget.
#[account]
#[derive(InitSpace, Debug)]
pub struct WorkerRecord {
    pub version: u8,
    pub bump: u8,
    pub worker: Pubkey,
    /// Audits passed since the last failed one.
    pub passes: u64,
    /// Audits passed and failed, ever.
    pub passed: u64,
    pub failed: u64,
    /// Unix second of the last outcome; 0 = none yet.
    pub last_at: i64,
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 32],
}

impl WorkerRecord {
    pub fn new(worker: Pubkey, version: u8, bump: u8, rent_payer: Pubkey) -> Self {
        Self {
            version,
            bump,
            worker,
            passes: 0,
            passed: 0,
            failed: 0,
            last_at: 0,
            seq: 0,
            rent_payer,
            _reserved: [0; 32],
        }
    }

    /// Books an outcome; what nobody decided counts for nothing.
    pub fn book(&mut self, outcome: Outcome, now: i64) -> Result<()> {
        match outcome {
            Outcome::Passed => {
                self.passes = self.passes.checked_add(1).ok_or(SettleError::Overflow)?;
                self.passed = self.passed.checked_add(1).ok_or(SettleError::Overflow)?;
            }
            Outcome::Failed => {
                self.passes = 0;
                self.failed = self.failed.checked_add(1).ok_or(SettleError::Overflow)?;
            }
            Outcome::Open | Outcome::Undecided => return Ok(()),
        }
        self.last_at = now;
        Ok(())
    }

    /// Share of the worker's value that is audited, bps.
    pub fn rate_bps(&self) -> u16 {
        audit_rate_bps(self.passes)
    }

    /// The number of the next event about this record.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(self.passes <= self.passed, SettleError::InvariantBroken);
        Ok(())
    }
}
