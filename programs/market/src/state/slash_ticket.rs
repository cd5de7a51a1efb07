//! A slash ticket: what one party has lost to penalties in one epoch, so that many small proofs of one bad hour take no
//! more than the largest of them.

use anchor_lang::prelude::*;
use waybill_mechanism::slash::{penalty, room};

use crate::{constants::TICKET_S, error::MarketError, state::Offence};

/// PDA `["tick", party, epoch u32]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct SlashTicket {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The party's address.
    pub party: Pubkey,
    /// The settlement epoch of the offences.
    pub epoch: u32,
    /// Stake and unbonding before the first slash, AIC base units.
    pub bond_aic: u64,
    /// The largest rate that applied, in bps.
    pub rate_bps: u16,
    /// Offences so far, one bit each, in the order of [`Offence`].
    pub offences: u8,
    /// Those of them that were repeats of an earlier epoch's.
    pub repeats: u8,
    /// Penalties so far, AIC base units; at most `rate_bps` of `bond_aic`.
    pub penalty_aic: u64,
    /// Restitution so far, AIC base units; not capped.
    pub restitution_aic: u64,
    /// When it was last used, unix seconds.
    pub slashed_at: i64,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 32],
}

impl SlashTicket {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// What the penalty of one more offence may be: its rate, within what the epoch's largest rate leaves.
    pub fn admit(&mut self, offence: Offence, repeat: bool, rate_bps: u16, bond_aic: u64) -> Result<u64> {
        self.rate_bps = self.rate_bps.max(rate_bps);
        self.offences |= offence.bit();
        if repeat {
            self.repeats |= offence.bit();
        }
        let wanted = penalty(bond_aic, rate_bps).map_err(|_| MarketError::Overflow)?;
        let room = room(self.bond_aic, self.rate_bps, self.penalty_aic).map_err(|_| MarketError::Overflow)?;
        Ok(wanted.min(room))
    }

    /// Whether an offence was punished in this epoch already, and then whether as a repeat.
    #[must_use]
    pub fn known(&self, offence: Offence) -> Option<bool> {
        (self.offences & offence.bit() != 0).then_some(self.repeats & offence.bit() != 0)
    }

    /// Records what was taken.
    pub fn record(&mut self, penalty_aic: u64, restitution_aic: u64, now: i64) -> Result<()> {
        self.penalty_aic = self.penalty_aic.checked_add(penalty_aic).ok_or(MarketError::Overflow)?;
        self.restitution_aic = self.restitution_aic.checked_add(restitution_aic).ok_or(MarketError::Overflow)?;
        self.slashed_at = now;
        Ok(())
    }

    /// Refuses to end a ticket that a dispute could still need: for [`TICKET_S`] after its last use.
    pub fn require_closable(&self, now: i64) -> Result<()> {
        let end = self.slashed_at.checked_add(TICKET_S).ok_or(MarketError::Overflow)?;
        require!(now >= end, MarketError::TicketOpen);
        Ok(())
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        let cap = penalty(self.bond_aic, self.rate_bps).map_err(|_| MarketError::Invariant)?;
        require!(
            self.version == Self::VERSION
                && self.party != Pubkey::default()
                && self.penalty_aic <= cap
                && self.repeats & !self.offences == 0,
            MarketError::Invariant
        );
        Ok(())
    }
}
