//! The errors of this program. Append only: clients know the numbers.

use anchor_lang::prelude::*;

/// Why an instruction of the coin program was refused.
#[error_code]
#[derive(PartialEq, Eq)]
pub enum CoinError {
    /// 6000
    #[msg("the signer is not the authority this instruction needs")]
    Unauthorized,
    /// 6001
    #[msg("a pause flag stops this instruction")]
    Paused,
    /// 6002
    #[msg("the default key is not a key")]
    DefaultKey,
    /// 6003
    #[msg("no authority change of this role is pending")]
    NothingPending,
    /// 6004
    #[msg("only the program's upgrade authority may initialise it")]
    NotDeployer,
    /// 6005
    #[msg("unknown pause flag")]
    UnknownFlag,
    /// 6006
    #[msg("the supply was already minted")]
    AlreadyMinted,
    /// 6007
    #[msg("the supply was not minted yet")]
    NotMinted,
    /// 6008
    #[msg("the mint authority was already revoked")]
    AlreadyRevoked,
    /// 6009
    #[msg("this vault does not pay by decision of the admin")]
    NotSpendable,
    /// 6010
    #[msg("an amount must not be zero")]
    ZeroAmount,
    /// 6011
    #[msg("token account of another mint")]
    WrongMint,
    /// 6012
    #[msg("the vault holds less than the amount")]
    InsufficientFunds,
    /// 6013
    #[msg("a rate outside the compiled bounds")]
    RateOutOfBounds,
    /// 6014
    #[msg("an epoch length outside the compiled bounds")]
    EpochOutOfBounds,
    /// 6015
    #[msg("one to five distinct reporters are needed")]
    BadReporters,
    /// 6016
    #[msg("the signer does not report the rate")]
    NotReporter,
    /// 6017
    #[msg("the rate was already rolled in this epoch")]
    AlreadyRolled,
    /// 6018
    #[msg("fewer than half of the reporters submitted a rate in this epoch")]
    NoQuorum,
    /// 6019
    #[msg("the rate is too old to move money")]
    RateStale,
    /// 6020
    #[msg("arithmetic overflow")]
    Overflow,
    /// 6021
    #[msg("the clock is before the epoch that was recorded")]
    ClockWentBack,
    /// 6022
    #[msg("an account is not in a state the program writes")]
    Invariant,
    /// 6023
    #[msg("the account is not the one its seeds give")]
    WrongAddress,
    /// 6030
    #[msg("more than the vault may pay in an hour: propose the spend, which waits a day, or pay less")]
    AboveBreaker = 30,
    /// 6031
    #[msg("the spend waits: it can be executed from its `not_before` on")]
    SpendNotDue,
    /// 6032
    #[msg("the proposed spend has expired; cancel it and propose it again")]
    SpendExpired,
    /// 6033
    #[msg("releases are already configured")]
    AlreadyConfigured,
    /// 6034
    #[msg("releases are not configured yet: run init_release")]
    NotConfigured,
    /// 6035
    #[msg("the fees of a day can be counted 48 hours after its end")]
    DayNotOver,
    /// 6036
    #[msg("the day was already released")]
    AlreadyReleased,
    /// 6037
    #[msg("nothing is to be released")]
    NothingToRelease,
    /// 6038
    #[msg("the account is not the settlement program's record of that day's fees")]
    WrongFeeDay,
    /// 6039
    #[msg("the outflow is delayed: it can be paid from its `due_at` on")]
    OutflowDelayed,
    /// 6040
    #[msg("the vault pays the wallet that releases were configured with, and no other")]
    WrongBeneficiary,
}

impl From<crate::authority::AuthorityError> for CoinError {
    fn from(error: crate::authority::AuthorityError) -> Self {
        match error {
            crate::authority::AuthorityError::DefaultKey => Self::DefaultKey,
            crate::authority::AuthorityError::NothingPending => Self::NothingPending,
        }
    }
}
