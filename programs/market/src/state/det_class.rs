//! A determinism class: the machines whose outputs can be compared, and how close they must come.

use anchor_lang::prelude::*;

use crate::error::MarketError;

/// How an output of the class is compared. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DetKind {
    /// Equal output hashes.
    Exact,
    /// Largest difference per position at most `tol_ppm` of the largest value.
    Tol,
    /// Teacher forcing: the margin of every token, or their mean, stays small.
    Text,
}

/// PDA `["det", id u16]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct DetClass {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// The number that nodes and receipts name.
    pub id: u16,
    /// `sha(runtime version ‖ EP ‖ opt level ‖ ISA class ‖ quant scheme ‖ batch=1)`.
    pub hash: [u8; 32],
    /// How outputs are compared.
    pub kind: DetKind,
    /// [`DetKind::Tol`]: largest difference, parts per million of the largest value. [`DetKind::Text`]: largest mean
    /// difference of the logits behind the tokens, likewise; 0 = not checked.
    pub tol_ppm: u32,
    /// [`DetKind::Text`], τ: largest margin of one token, parts per million of one logit; 0 = not checked.
    pub tau_ppm: u32,
    /// [`DetKind::Text`], µ: largest mean margin, parts per million of one logit; 0 = not checked.
    pub mu_ppm: u32,
    /// Whether new audits are drawn in it.
    pub enabled: bool,
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Room for later fields, zero.
    pub _reserved: [u8; 64],
}

impl DetClass {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Sets how outputs are compared.
    pub fn tune(&mut self, rule: DetRule) -> Result<()> {
        self.kind = rule.kind;
        self.tol_ppm = rule.tol_ppm;
        self.tau_ppm = rule.tau_ppm;
        self.mu_ppm = rule.mu_ppm;
        self.enabled = rule.enabled;
        rule.validate()
    }

    /// How outputs are compared.
    #[must_use]
    pub fn rule(&self) -> DetRule {
        DetRule {
            kind: self.kind,
            tol_ppm: self.tol_ppm,
            tau_ppm: self.tau_ppm,
            mu_ppm: self.mu_ppm,
            enabled: self.enabled,
        }
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(self.version == Self::VERSION && self.hash != [0; 32], MarketError::Invariant);
        self.rule().validate()
    }
}

/// How outputs of a class are compared; the part of a [`DetClass`] that may change.
#[derive(AnchorSerialize, AnchorDeserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetRule {
    /// See [`DetClass::kind`].
    pub kind: DetKind,
    /// See [`DetClass::tol_ppm`].
    pub tol_ppm: u32,
    /// See [`DetClass::tau_ppm`].
    pub tau_ppm: u32,
    /// See [`DetClass::mu_ppm`].
    pub mu_ppm: u32,
    /// See [`DetClass::enabled`].
    pub enabled: bool,
}

impl DetRule {
    /// Refuses a rule whose numbers do not fit its kind: every kind has its own and no other's.
    pub fn validate(&self) -> Result<()> {
        let fits = match self.kind {
            DetKind::Exact => self.tol_ppm == 0 && self.tau_ppm == 0 && self.mu_ppm == 0,
            DetKind::Tol => (1..=1_000_000).contains(&self.tol_ppm) && self.tau_ppm == 0 && self.mu_ppm == 0,
            DetKind::Text => self.tol_ppm <= 1_000_000 && (self.tau_ppm > 0 || self.mu_ppm > 0),
        };
        require!(fits, MarketError::ParamOutOfBounds);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_the_numbers_of_its_kind_and_no_others() {
        let rule = |kind, tol_ppm, tau_ppm, mu_ppm| DetRule { kind, tol_ppm, tau_ppm, mu_ppm, enabled: true };
        for good in [
            rule(DetKind::Exact, 0, 0, 0),
            rule(DetKind::Tol, 1, 0, 0),
            rule(DetKind::Tol, 1_000_000, 0, 0),
            rule(DetKind::Text, 0, 1_000, 0),
            rule(DetKind::Text, 0, 0, 5),
            rule(DetKind::Text, 50_000, 1, 1),
        ] {
            good.validate().unwrap();
        }
        for bad in [
            rule(DetKind::Exact, 1, 0, 0),
            rule(DetKind::Exact, 0, 1, 0),
            rule(DetKind::Tol, 0, 0, 0),
            rule(DetKind::Tol, 1_000_001, 0, 0),
            rule(DetKind::Tol, 1, 0, 1),
            rule(DetKind::Text, 0, 0, 0),
            rule(DetKind::Text, 1, 0, 0),
            rule(DetKind::Text, 1_000_001, 1, 0),
        ] {
            assert_eq!(bad.validate().unwrap_err(), MarketError::ParamOutOfBounds.into(), "{bad:?}");
        }
    }
}
