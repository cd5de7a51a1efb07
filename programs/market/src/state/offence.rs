//! What a party can be slashed for, and at what rates.

use anchor_lang::prelude::*;

/// A proven offence. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Offence {
    /// A worker delivered what its model does not compute (D7).
    BadOutput,
    /// A receipt could not be shown because the worker refused its part (D4).
    AnswerRefused,
    /// A worker or verifier did not do what it had promised to.
    NoShow,
    /// A gateway was found guilty in D1, D2, D3, D5, D8 or D9.
    GatewayFault,
    /// Two signed messages contradict each other (D6).
    Equivocation,
    /// A verifier's verdict was lazy or false.
    FalseVerdict,
}

/// Offences of one party that are remembered, one moment each; more than there are, so that the layout lasts.
pub const OFFENCES: usize = 8;

impl Offence {
    /// Every offence, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::BadOutput,
        Self::AnswerRefused,
        Self::NoShow,
        Self::GatewayFault,
        Self::Equivocation,
        Self::FalseVerdict,
    ];

    /// The penalty in bps of the own stake: of the first offence, and of the same one again within 30 days.
    #[must_use]
    pub const fn rates_bps(self) -> (u16, u16) {
        match self {
            Self::BadOutput => (2_000, 10_000),
            Self::AnswerRefused => (500, 2_000),
            Self::NoShow => (50, 50),
            Self::GatewayFault => (2_500, 10_000),
            Self::Equivocation => (10_000, 10_000),
            Self::FalseVerdict => (1_000, 5_000),
        }
    }

    /// Whether the party never works again when it does it a second time.
    #[must_use]
    pub const fn bans_on_repeat(self) -> bool {
        matches!(self, Self::BadOutput)
    }

    /// Whether the party takes no new work for a day.
    #[must_use]
    pub const fn jails(self) -> bool {
        matches!(self, Self::NoShow)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offence_has_its_place_and_never_a_lighter_repeat() {
        for (number, offence) in Offence::ALL.into_iter().enumerate() {
            assert_eq!((offence.index(), offence.bit()), (number, 1 << number));
            assert!(offence.index() < OFFENCES);
            let (first, repeat) = offence.rates_bps();
            assert!(first > 0 && first <= repeat && repeat <= 10_000);
        }
    }
}
