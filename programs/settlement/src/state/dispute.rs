//! A dispute: one accusation, with the challenger's bond, until it has an outcome.

use anchor_lang::prelude::*;

use crate::error::SettleError;

/// What a dispute is about. One byte on chain, append only; the number in the address is [`DisputeKind::number`].
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeKind {
    /// D1: a worker holds a countersigned receipt whose total the lines of the epoch do not reach.
    UnderpaidWorker,
    /// D2: a gateway settled more than it acknowledged in its charge notes.
    Overcharge,
    /// D3: a line may be fictitious; the gateway shows its first and last receipt.
    OpenLine,
    /// D4: a receipt may be fictitious; the gateway shows it with its worker's signature.
    OpenReceipt,
    /// D5: two receipts that cannot both be in the trees of an epoch.
    OrderFault,
    /// D6: two different signed messages with the same key fields.
    Equivocation,
    /// D8: an epoch's batch was never posted.
    NoBatch,
    /// D9: a receipt costs more than the snapshot allows, or names a referrer that nobody granted.
    PriceFault,
}

impl DisputeKind {
    /// The number after the D, part of the address.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::UnderpaidWorker => 1,
            Self::Overcharge => 2,
            Self::OpenLine => 3,
            Self::OpenReceipt => 4,
            Self::OrderFault => 5,
            Self::Equivocation => 6,
            Self::NoBatch => 8,
            Self::PriceFault => 9,
        }
    }

    /// Whether silence clears the accused: the challenger has to prove these. Of the others the accused has to answer.
    #[must_use]
    pub const fn challenger_proves(self) -> bool {
        matches!(self, Self::OrderFault | Self::Equivocation | Self::PriceFault)
    }
}

/// One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeState {
    /// Waits for the answer or the proof until its deadline.
    Open,
    /// The accused has answered; the bond will be its.
    Answered,
    /// The challenger has proven it; the stake will answer.
    Proven,
    /// Ended against the accused.
    Upheld,
    /// Ended against the challenger.
    Dismissed,
}

/// `["disp", subject, kind number, index]`. Its bond lies in the pool until it is resolved.
#[account]
#[derive(InitSpace, Debug)]
pub struct Dispute {
    pub version: u8,
    pub bump: u8,
    pub kind: DisputeKind,
    pub state: DisputeState,
    /// Pieces of evidence shown so far.
    pub step: u8,
    /// The line (D3) or receipt (D4, D5, D9) in its tree; what else tells disputes of one subject apart.
    pub index: u32,
    /// D3, D4, D5: the line that will be void. D8: the epoch.
    pub line: u32,
    /// D3: the first receipt of the line. D1: the first shard that may still be shown.
    pub first: u32,
    /// D3: the last receipt of the line.
    pub last: u32,
    /// The account it is about: batch (D1, D3, D4, D5, D9), channel (D2), accused key (D6), gateway vault (D8).
    pub target: Pubkey,
    pub challenger: Pubkey,
    /// Lies in the pool until the outcome, AIC base units.
    pub bond_aic: u64,
    /// Unix second until which the accused may answer, or the challenger prove.
    pub deadline: i64,
    /// What the next piece of evidence has to fit.
    pub digest: [u8; 32],
    /// D1, D8: what is owed, nc. D2, D9: the overcharge. D3, D4, D5: the credits of the line.
    pub amount_nc: u64,
    /// D1: what has been shown, nc. D2: the nonce to be justified.
    pub mark: u64,
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 3],
}

impl Dispute {
    /// The dispute can still be answered or proven.
    pub fn require_open(&self, now: i64) -> Result<()> {
        require!(self.state == DisputeState::Open, SettleError::DisputeState);
        require!(now < self.deadline, SettleError::DisputeOver);
        Ok(())
    }

    /// Counts one more piece of evidence, which leaves the dispute in `state`.
    pub fn advance(&mut self, state: DisputeState) -> Result<()> {
        self.step = self.step.checked_add(1).ok_or(SettleError::Overflow)?;
        self.state = state;
        Ok(())
    }

    /// Takes the outcome: whether the accused is guilty. Silence speaks against whose turn it was.
    pub fn decide(&mut self, now: i64) -> Result<bool> {
        let guilty = match self.state {
            DisputeState::Answered => false,
            DisputeState::Proven => true,
            DisputeState::Open => {
                require!(now >= self.deadline, SettleError::DisputePending);
                !self.kind.challenger_proves()
            }
            DisputeState::Upheld | DisputeState::Dismissed => return err!(SettleError::DisputeState),
        };
        self.state = if guilty { DisputeState::Upheld } else { DisputeState::Dismissed };
        Ok(guilty)
    }

    /// Whether the bond has left the pool.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, DisputeState::Upheld | DisputeState::Dismissed)
    }

    /// Receipts of the line in question.
    pub fn n_receipts(&self) -> Result<u32> {
        let n = self.last.checked_sub(self.first).and_then(|n| n.checked_add(1));
        n.ok_or_else(|| SettleError::InvariantBroken.into())
    }

    /// The number of the next event about this dispute.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(self.deadline > 0 && self.challenger != Pubkey::default(), SettleError::InvariantBroken);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn dispute(kind: DisputeKind, state: DisputeState) -> Dispute {
        Dispute {
            version: 1,
            bump: 1,
            kind,
            state,
            step: 0,
            index: 0,
            line: 0,
            first: 0,
            last: 0,
            target: Pubkey::default(),
            challenger: Pubkey::new_from_array([1; 32]),
            bond_aic: 1,
            deadline: 100,
            digest: [0; 32],
            amount_nc: 0,
            mark: 0,
            seq: 0,
            rent_payer: Pubkey::default(),
            _reserved: [0; 3],
        }
    }

    #[test]
    fn silence_speaks_against_whose_turn_it_was() {
        let pending = Err(SettleError::DisputePending.into());
        for (kind, guilty) in [(DisputeKind::OpenLine, true), (DisputeKind::OrderFault, false)] {
            assert_eq!(dispute(kind, DisputeState::Open).decide(99), pending);
            assert_eq!(dispute(kind, DisputeState::Open).decide(100), Ok(guilty));
            // What was shown counts at once, whatever the clock says.
            assert_eq!(dispute(kind, DisputeState::Answered).decide(0), Ok(false));
            assert_eq!(dispute(kind, DisputeState::Proven).decide(0), Ok(true));
        }
    }

    #[test]
    fn an_outcome_is_taken_once() {
        let mut case = dispute(DisputeKind::OpenReceipt, DisputeState::Open);
        case.decide(100).unwrap();
        assert_eq!((case.state, case.is_over()), (DisputeState::Upheld, true));
        assert_eq!(case.decide(100), Err(SettleError::DisputeState.into()));
        assert_eq!(case.require_open(0), Err(SettleError::DisputeState.into()));
    }
}
