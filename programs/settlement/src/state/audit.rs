//! One audit: a drawn receipt, who judges it, what they said and what follows. One verifier is asked; a mismatch asks
//! three more, whose majority decides; an appeal asks four more, and the majority of the seven decides. Whoever contests a
//! pass or appeals deposits a bond.

use anchor_lang::prelude::*;

use crate::{
    constants::CHAIRS,
    error::SettleError,
    state::{Panel, Seat, VerifierSet},
};

/// What an audit found. One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Verdicts are outstanding.
    Open,
    /// The worker's output is what its model gives.
    Passed,
    /// It is not.
    Failed,
    /// Nobody answered, or too few verifiers exist for a panel: nothing follows for the worker.
    Undecided,
}

/// What a chair said. One byte on chain, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// Nothing yet, or not asked.
    None,
    Pass,
    Mismatch,
    /// Asked, and silent until the time was over.
    Absent,
}

/// The deposit of whoever contested a pass (round 1) or appealed a panel's decision (round 2).
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bond {
    /// Default = nobody.
    pub by: Pubkey,
    /// In the pool until it is settled, AIC base units.
    pub aic: u64,
    /// The decision it was laid against.
    pub against: Outcome,
    pub settled: bool,
}

impl Bond {
    pub const NONE: Self = Self { by: Pubkey::new_from_array([0; 32]), aic: 0, against: Outcome::Open, settled: false };

    /// Laid and neither returned nor lost.
    pub fn is_held(&self) -> bool {
        self.by != Pubkey::default() && !self.settled
    }
}

/// Round 1: one verifier. Round 2: three more. Round 3: four more.
const PANEL_ROUND: u8 = 2;
const BENCH_ROUND: u8 = 3;
/// Chairs up to and including the panel of three.
const PANEL_END: u8 = 4;

/// `["audit", batch, draw]`
#[account]
#[derive(InitSpace, Debug)]
pub struct Audit {
    pub version: u8,
    pub bump: u8,
    /// Verdicts of this audit slash; frozen when it was opened.
    pub enforce: bool,
    /// 1: one verifier, 2: the panel of three, 3: the bench of seven.
    pub round: u8,
    /// The decision of the present round; `Open` while it votes.
    pub judged: Outcome,
    /// The decision can no longer be appealed and its effects on record and batch are booked.
    pub settled: bool,
    /// A planted receipt of the audit authority's own worker: nothing follows for the worker.
    pub canary: bool,
    pub worker_punished: bool,
    /// The line of a failed receipt is void, or nothing is to be voided.
    pub line_done: bool,
    /// Bit per chair.
    pub paid: u8,
    /// Bit per chair.
    pub punished: u8,
    pub n_chairs: u8,
    /// Seat of each chair in the class's verifier set.
    pub seats: [u8; CHAIRS],
    pub votes: [Vote; CHAIRS],
    pub det_class: u16,
    pub batch: Pubkey,
    /// Settlement epoch of the batch: penalties are capped per party and epoch.
    pub epoch: u32,
    pub draw: u32,
    /// Index of the receipt in the batch's receipts tree.
    pub receipt: u32,
    pub receipt_hash: [u8; 32],
    pub worker: Pubkey,
    /// Who answers for the worker.
    pub operator: Pubkey,
    pub output_hash: [u8; 32],
    pub evidence_hash: [u8; 32],
    /// Price of the receipt, nc.
    pub price_nc: u64,
    /// What each correct verdict is paid, AIC base units.
    pub fee_aic: u64,
    /// The slot that drew the batch; a canary was committed before it.
    pub seed_slot: u64,
    /// Until when the seats mean these verifiers.
    pub seats_until: i64,
    pub opened_at: i64,
    /// While voting: the last moment for a verdict. When decided: the last moment for an appeal.
    pub deadline: i64,
    /// Of the contest of round 1 and the appeal of round 2.
    pub bonds: [Bond; 2],
    pub seq: u64,
    pub rent_payer: Pubkey,
    pub _reserved: [u8; 32],
}

impl Audit {
    /// Where `batch` begins in the account, for filters.
    pub const BATCH_OFFSET: usize = 38;

    /// Seats the panel; the first verifier is asked until `deadline`.
    pub fn seat(&mut self, panel: &Panel) {
        self.seats = panel.seats;
        self.n_chairs = panel.len;
    }

    /// The chairs that vote in the present round, as a range.
    fn asked(&self) -> std::ops::Range<u8> {
        match self.round {
            PANEL_ROUND => 1..PANEL_END,
            BENCH_ROUND => PANEL_END..self.n_chairs,
            _ => 0..1,
        }
    }

    fn vote_of(&self, chair: u8) -> Vote {
        self.votes.get(usize::from(chair)).copied().unwrap_or(Vote::None)
    }

    fn set_vote(&mut self, chair: u8, vote: Vote) -> Result<()> {
        *self.votes.get_mut(usize::from(chair)).ok_or(SettleError::NotSeated)? = vote;
        Ok(())
    }

    /// Of the jury (every chair but the first): how many said so.
    fn jury(&self, vote: Vote) -> usize {
        self.votes.iter().skip(1).filter(|cast| **cast == vote).count()
    }

    /// Records the verdict of a chair and decides the round when it settles it.
    pub fn submit(&mut self, chair: u8, pass: bool, now: i64, verdict_s: u32) -> Result<()> {
        require!(self.judged == Outcome::Open && self.asked().contains(&chair), SettleError::AuditState);
        require!(self.vote_of(chair) == Vote::None, SettleError::AlreadyDone);
        require!(now < self.deadline, SettleError::VerdictLate);
        self.set_vote(chair, if pass { Vote::Pass } else { Vote::Mismatch })?;
        if self.round == 1 {
            if pass {
                return self.decide(Outcome::Passed, now, verdict_s);
            }
            if self.n_chairs < PANEL_END {
                return self.decide(Outcome::Undecided, now, verdict_s);
            }
            return self.ask_more(now, verdict_s);
        }
        match self.majority() {
            Some(outcome) => self.decide(outcome, now, verdict_s),
            None => Ok(()),
        }
    }

    /// What more than half of the jury that may vote says.
    fn majority(&self) -> Option<Outcome> {
        let jury = if self.round == BENCH_ROUND { self.n_chairs } else { PANEL_END };
        let needed = usize::from(jury.saturating_sub(1)) / 2 + 1;
        if self.jury(Vote::Mismatch) >= needed {
            Some(Outcome::Failed)
        } else if self.jury(Vote::Pass) >= needed {
            Some(Outcome::Passed)
        } else {
            None
        }
    }

    fn ask_more(&mut self, now: i64, verdict_s: u32) -> Result<()> {
        self.round = self.round.checked_add(1).ok_or(SettleError::Overflow)?;
        self.judged = Outcome::Open;
        self.deadline = now.checked_add(i64::from(verdict_s)).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// Sets the decision and how long it can be appealed: a pass by one verifier for one verdict time, a panel's
    /// decision for two, anything else not at all.
    fn decide(&mut self, outcome: Outcome, now: i64, verdict_s: u32) -> Result<()> {
        self.judged = outcome;
        let windows = if self.may_be_appealed() { i64::from(self.round) } else { 0 };
        let window = windows.checked_mul(i64::from(verdict_s)).ok_or(SettleError::Overflow)?;
        self.deadline = now.checked_add(window).ok_or(SettleError::Overflow)?;
        Ok(())
    }

    /// Whether a larger panel exists for the present decision.
    pub fn may_be_appealed(&self) -> bool {
        match (self.round, self.judged) {
            (1, Outcome::Passed) => self.n_chairs >= PANEL_END,
            (PANEL_ROUND, Outcome::Passed | Outcome::Failed) => self.n_chairs > PANEL_END,
            _ => false,
        }
    }

    /// Contests a pass or appeals a panel's decision.
    pub fn appeal(&mut self, by: Pubkey, bond_aic: u64, now: i64, verdict_s: u32) -> Result<()> {
        require!(self.judged != Outcome::Open && !self.settled, SettleError::AuditState);
        require!(self.may_be_appealed(), SettleError::NotAppealable);
        require!(now < self.deadline, SettleError::VerdictLate);
        let against = self.judged;
        let bond = self.bonds.get_mut(usize::from(self.round) - 1).ok_or(SettleError::NotAppealable)?;
        *bond = Bond { by, aic: bond_aic, against, settled: false };
        self.ask_more(now, verdict_s)
    }

    /// Ends a round whose time is over, then settles the decision if nothing can change it any more. Returns the outcome
    /// the first time it is settled.
    pub fn resolve(&mut self, now: i64, verdict_s: u32) -> Result<Outcome> {
        require!(!self.settled, SettleError::AuditState);
        require!(now >= self.deadline, SettleError::VerdictOpen);
        if self.judged == Outcome::Open {
            for chair in self.asked() {
                if self.vote_of(chair) == Vote::None {
                    self.set_vote(chair, Vote::Absent)?;
                }
            }
            // Silence overturns nothing: the bench without a majority leaves the panel's decision.
            let fallback = if self.round == BENCH_ROUND { self.bonds[1].against } else { Outcome::Undecided };
            self.decide(fallback, now, verdict_s)?;
            require!(now >= self.deadline, SettleError::VerdictOpen);
        }
        self.settled = true;
        Ok(self.judged)
    }

    /// Whether the worker loses stake and line.
    pub fn convicts(&self) -> bool {
        self.settled && self.judged == Outcome::Failed && self.enforce && !self.canary
    }

    /// Whether a chair's verdict contradicts the outcome.
    pub fn is_wrong(&self, chair: u8) -> bool {
        matches!((self.judged, self.vote_of(chair)), (Outcome::Passed, Vote::Mismatch) | (Outcome::Failed, Vote::Pass))
    }

    /// Whether a chair was asked and stayed silent.
    pub fn is_absent(&self, chair: u8) -> bool {
        self.vote_of(chair) == Vote::Absent
    }

    /// Whether a chair said that the output does not match.
    pub fn accuses(&self, chair: u8) -> bool {
        self.vote_of(chair) == Vote::Mismatch
    }

    /// Whether a chair is owed its fee.
    pub fn is_owed(&self, chair: u8) -> bool {
        matches!(self.vote_of(chair), Vote::Pass | Vote::Mismatch) && !self.is_wrong(chair)
    }

    /// Sets the chair's bit in a mask; fails when it was set.
    pub fn once(mask: &mut u8, chair: u8) -> Result<()> {
        let bit = 1u8.checked_shl(u32::from(chair)).ok_or(SettleError::NotSeated)?;
        require!(*mask & bit == 0, SettleError::AlreadyDone);
        *mask |= bit;
        Ok(())
    }

    /// Whether bond `index` goes back: the decision it was laid against did not stand.
    pub fn bond_returns(&self, index: usize) -> bool {
        self.bonds.get(index).is_some_and(|bond| self.judged != bond.against)
    }

    /// Whether everything that follows from the outcome is done.
    pub fn is_finished(&self) -> bool {
        let chairs = (0..self.n_chairs).all(|chair| {
            let bit = 1u8 << chair;
            let paid = !self.is_owed(chair) || self.paid & bit != 0;
            let guilty = self.enforce && (self.is_wrong(chair) || self.is_absent(chair));
            paid && (!guilty || self.punished & bit != 0)
        });
        self.settled && chairs && self.line_done && (!self.convicts() || self.worker_punished) && self.owes_nobody()
    }

    /// Whether no appellant waits for a bond.
    pub fn owes_nobody(&self) -> bool {
        !self.bonds.iter().any(Bond::is_held)
    }

    /// Until when what follows from the outcome may still be done.
    pub fn forfeit_until(&self, verdict_s: u32, verdicts: i64) -> Result<i64> {
        let grace = i64::from(verdict_s).checked_mul(verdicts).ok_or(SettleError::Overflow)?;
        self.deadline.checked_add(grace).ok_or_else(|| SettleError::Overflow.into())
    }

    /// The seat of a chair, read from the account of its class's set.
    pub fn seat_of(&self, set: &Account<VerifierSet>, chair: u8) -> Result<Seat> {
        require!(chair < self.n_chairs, SettleError::NotSeated);
        let index = self.seats.get(usize::from(chair)).ok_or(SettleError::NotSeated)?;
        let info = set.to_account_info();
        let seat = VerifierSet::seat(&info.try_borrow_data()?, *index)?;
        Ok(seat)
    }

    /// The number of the next event about this audit.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(SettleError::Overflow)?;
        Ok(self.seq)
    }

    pub fn invariant(&self) -> Result<()> {
        require!(
            (1..=BENCH_ROUND).contains(&self.round)
                && (1..=CHAIRS as u8).contains(&self.n_chairs)
                && (!self.settled || self.judged != Outcome::Open)
                && (self.settled || (self.paid == 0 && self.punished == 0 && !self.worker_punished))
                && self.paid & self.punished == 0,
            SettleError::InvariantBroken
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WINDOW: u32 = 100;

    fn audit(n_chairs: u8) -> Audit {
        let key = Pubkey::new_from_array([1; 32]);
        Audit {
            version: 1,
            bump: 1,
            enforce: true,
            round: 1,
            judged: Outcome::Open,
            settled: false,
            canary: false,
            worker_punished: false,
            line_done: false,
            paid: 0,
            punished: 0,
            n_chairs,
            seats: [0, 1, 2, 3, 4, 5, 6, 7],
            votes: [Vote::None; CHAIRS],
            det_class: 1,
            batch: key,
            epoch: 1,
            draw: 0,
            receipt: 0,
            receipt_hash: [0; 32],
            worker: key,
            operator: key,
            output_hash: [0; 32],
            evidence_hash: [0; 32],
            price_nc: 1,
            fee_aic: 1,
            seed_slot: 1,
            seats_until: i64::MAX,
            opened_at: 0,
            deadline: 100,
            bonds: [Bond::NONE; 2],
            seq: 0,
            rent_payer: key,
            _reserved: [0; 32],
        }
    }

    fn votes(audit: &mut Audit, cast: &[(u8, bool)]) {
        for (chair, pass) in cast {
            audit.submit(*chair, *pass, 10, WINDOW).unwrap();
        }
    }

    #[test]
    fn a_pass_stands_when_nobody_contests_it() {
        let mut audit = audit(8);
        votes(&mut audit, &[(0, true)]);
        assert_eq!(audit.resolve(109, WINDOW).unwrap_err(), SettleError::VerdictOpen.into());
        assert_eq!(audit.resolve(110, WINDOW).unwrap(), Outcome::Passed);
        assert_eq!(audit.resolve(110, WINDOW).unwrap_err(), SettleError::AuditState.into());
        assert!(audit.is_owed(0) && !audit.convicts());
        audit.invariant().unwrap();
    }

    #[test]
    fn a_mismatch_is_no_conviction_before_two_of_three_agree() {
        let mut audit = audit(8);
        votes(&mut audit, &[(0, false), (1, false)]);
        assert_eq!(audit.judged, Outcome::Open);
        votes(&mut audit, &[(3, false)]);
        assert_eq!(audit.judged, Outcome::Failed);
        assert!(!audit.convicts(), "the worker may still appeal");
        assert_eq!(audit.resolve(10 + 200, WINDOW).unwrap(), Outcome::Failed);
        assert!(audit.convicts());
        assert!(!audit.is_owed(2) && !audit.is_absent(2), "the third was not needed");
    }

    #[test]
    fn a_false_accuser_is_the_wrong_one() {
        let mut audit = audit(4);
        votes(&mut audit, &[(0, false), (1, true), (2, false), (3, true)]);
        // Four chairs have no bench: the decision is final at once.
        assert_eq!(audit.resolve(10, WINDOW).unwrap(), Outcome::Passed);
        let wrong: Vec<u8> = (0..4).filter(|chair| audit.is_wrong(*chair)).collect();
        assert_eq!(wrong, [0, 2]);
        assert!(!audit.convicts());
    }

    #[test]
    fn an_appeal_asks_four_more_and_seven_decide() {
        let mut audit = audit(8);
        votes(&mut audit, &[(0, false), (1, false), (2, false)]);
        let by = Pubkey::new_from_array([9; 32]);
        audit.appeal(by, 5, 20, WINDOW).unwrap();
        assert_eq!(audit.submit(3, true, 21, WINDOW).unwrap_err(), SettleError::AuditState.into());
        votes(&mut audit, &[(4, true), (5, true), (6, true)]);
        assert_eq!(audit.judged, Outcome::Open, "two against three of seven");
        votes(&mut audit, &[(7, true)]);
        assert_eq!(audit.resolve(10, WINDOW).unwrap(), Outcome::Passed);
        assert!(audit.bond_returns(1) && audit.is_wrong(0) && audit.is_wrong(1));
        let late = audit.appeal(by, 5, 9, WINDOW).unwrap_err();
        assert_eq!(late, SettleError::AuditState.into());
    }

    #[test]
    fn a_bench_that_is_silent_leaves_the_panels_decision() {
        let mut audit = audit(8);
        votes(&mut audit, &[(0, false), (1, false), (2, false)]);
        audit.appeal(Pubkey::new_from_array([9; 32]), 5, 20, WINDOW).unwrap();
        votes(&mut audit, &[(4, true)]);
        assert_eq!(audit.resolve(120, WINDOW).unwrap(), Outcome::Failed);
        assert!(!audit.bond_returns(1) && audit.is_absent(5) && !audit.is_absent(3));
    }

    #[test]
    fn whoever_contests_a_pass_needs_a_panel_and_the_time() {
        let by = Pubkey::new_from_array([9; 32]);
        let mut small = audit(3);
        votes(&mut small, &[(0, true)]);
        assert_eq!(small.appeal(by, 5, 10, WINDOW).unwrap_err(), SettleError::NotAppealable.into());
        let mut audit = audit(8);
        assert_eq!(audit.appeal(by, 5, 10, WINDOW).unwrap_err(), SettleError::AuditState.into());
        votes(&mut audit, &[(0, true)]);
        assert_eq!(audit.appeal(by, 5, 110, WINDOW).unwrap_err(), SettleError::VerdictLate.into());
        audit.appeal(by, 5, 109, WINDOW).unwrap();
        votes(&mut audit, &[(1, false), (2, false)]);
        assert_eq!(audit.resolve(210, WINDOW).unwrap(), Outcome::Failed);
        assert!(audit.is_wrong(0) && audit.bond_returns(0));
    }

    #[test]
    fn silence_harms_the_silent_and_nobody_else() {
        let mut audit = audit(8);
        assert_eq!(audit.submit(0, true, 100, WINDOW).unwrap_err(), SettleError::VerdictLate.into());
        assert_eq!(audit.resolve(100, WINDOW).unwrap(), Outcome::Undecided);
        assert!(audit.is_absent(0) && !audit.convicts() && !audit.is_owed(0));
    }

    #[test]
    fn too_few_verifiers_convict_nobody() {
        let mut audit = audit(3);
        votes(&mut audit, &[(0, false)]);
        assert_eq!(audit.resolve(10, WINDOW).unwrap(), Outcome::Undecided);
        assert!(!audit.is_wrong(0) && audit.is_owed(0));
    }

    #[test]
    fn a_chair_speaks_once_and_only_when_asked() {
        let mut audit = audit(8);
        assert_eq!(audit.submit(1, true, 10, WINDOW).unwrap_err(), SettleError::AuditState.into());
        votes(&mut audit, &[(0, false)]);
        assert_eq!(audit.submit(0, true, 10, WINDOW).unwrap_err(), SettleError::AuditState.into());
        votes(&mut audit, &[(1, false)]);
        assert_eq!(audit.submit(1, true, 10, WINDOW).unwrap_err(), SettleError::AlreadyDone.into());
        assert_eq!(audit.submit(8, true, 10, WINDOW).unwrap_err(), SettleError::AuditState.into());
        let mut mask = 0;
        Audit::once(&mut mask, 7).unwrap();
        assert_eq!(Audit::once(&mut mask, 7).unwrap_err(), SettleError::AlreadyDone.into());
        assert_eq!(Audit::once(&mut mask, 8).unwrap_err(), SettleError::NotSeated.into());
    }
}
