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
}

impl From<crate::authority::AuthorityError> for CoinError {
    fn from(error: crate::authority::AuthorityError) -> Self {
        match error {
            crate::authority::AuthorityError::DefaultKey => Self::DefaultKey,
            crate::authority::AuthorityError::NothingPending => Self::NothingPending,
        }
    }
}
