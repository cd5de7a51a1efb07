//! The one error enum of the program. Append only: a released code never changes its meaning.

use anchor_lang::prelude::*;
use waybill_mechanism::{amount::AmountError, channel::ChannelError};

#[error_code]
pub enum SettleError {
    /// 6000
    #[msg("the signer does not hold this authority")]
    Unauthorized,
    /// 6001
    #[msg("this part of the program is paused")]
    Paused,
    /// 6002
    #[msg("a parameter is outside its bounds")]
    InvalidConfig,
    /// 6003
    #[msg("the default key is not accepted here")]
    DefaultKey,
    /// 6004
    #[msg("there is no pending authority to accept")]
    NoPendingAuthority,
    /// 6005
    #[msg("arithmetic left its range")]
    Overflow,
    /// 6006
    #[msg("an account broke its invariant")]
    InvariantBroken,
    /// 6007
    #[msg("an account does not belong to the others")]
    AccountMismatch,
    /// 6008
    #[msg("the token account has another mint or owner")]
    TokenMismatch,
    /// 6009
    #[msg("the party has no active stake in this role")]
    NotStaked,
    /// 6010
    #[msg("open_slot is in the future or too old")]
    InvalidOpenSlot,
    /// 6011
    #[msg("a grant needs a positive limit, a period of 1 hour to 31 days and an expiry within 366 days")]
    InvalidGrant,
    /// 6012
    #[msg("the channel is not in the state that this needs")]
    ChannelState,
    /// 6013
    #[msg("the grace period has not ended")]
    GraceNotOver,
    /// 6014
    #[msg("the grant is inactive")]
    Inactive,
    /// 6015
    #[msg("the claim does not exceed what is settled")]
    StaleClaim,
    /// 6016
    #[msg("the claim exceeds its ceiling")]
    AboveCeiling,
    /// 6017
    #[msg("the nonce is below the last settled one")]
    StaleNonce,
    /// 6018
    #[msg("the voucher has expired")]
    VoucherExpired,
    /// 6019
    #[msg("the voucher names another channel or domain")]
    VoucherMismatch,
    /// 6020
    #[msg("the message is malformed")]
    MalformedMessage,
    /// 6021
    #[msg("no accepted signature check precedes this instruction")]
    SignatureCheck,
    /// 6022
    #[msg("the rate is zero or stale")]
    InvalidRate,
    /// 6023
    #[msg("the epoch has not ended")]
    EpochNotOver,
    /// 6024
    #[msg("the epoch is closed for batches of this gateway")]
    EpochClosed,
    /// 6025
    #[msg("the counts or sums of the batch are outside their bounds")]
    InvalidBatch,
    /// 6026
    #[msg("the gateway vault holds less than the batch needs")]
    InsufficientVault,
    /// 6027
    #[msg("the batch is not in the state that this needs")]
    BatchState,
    /// 6028
    #[msg("the challenge window is still open")]
    ChallengeOpen,
    /// 6029
    #[msg("the line does not belong to this batch")]
    LineMismatch,
    /// 6030
    #[msg("the proof does not lead to the root")]
    InvalidProof,
    /// 6031
    #[msg("the line is already claimed")]
    AlreadyClaimed,
    /// 6032
    #[msg("the snapshot does not price this line")]
    SnapshotMismatch,
    /// 6033
    #[msg("the node is not the worker of this line")]
    NodeMismatch,
    /// 6034
    #[msg("the remaining accounts are not the payees of this line, in order")]
    PayeeMismatch,
    /// 6035
    #[msg("lines are unclaimed and the claim window is open")]
    ClaimsOpen,
    /// 6036
    #[msg("the amount is zero or exceeds what is there")]
    InvalidAmount,
    /// 6037
    #[msg("no sweep address is in effect")]
    NoSweepAddress,
    /// 6038
    #[msg("the challenge window is over")]
    ChallengeOver,
    /// 6039
    #[msg("an audit or a dispute of the batch has no outcome yet")]
    CasesOpen,
    /// 6040
    #[msg("the audits of the batch are not drawn yet; seed_audits draws them")]
    NotSeeded = 40,
    /// 6041
    #[msg("the audits of the batch are drawn already")]
    AlreadySeeded,
    /// 6042
    #[msg("the slot whose hash draws the audits has not passed")]
    SeedTooEarly,
    /// 6043
    #[msg("the draw does not hit this receipt")]
    DrawMismatch,
    /// 6044
    #[msg("the draw spares this worker, whose record is good")]
    DrawSpared,
    /// 6045
    #[msg("the receipt belongs to another batch")]
    ReceiptMismatch,
    /// 6046
    #[msg("the key does not hold this seat")]
    NotSeated,
    /// 6047
    #[msg("the owner or the node already sits in this set")]
    SeatTaken,
    /// 6048
    #[msg("every seat of the set is taken")]
    SetFull,
    /// 6049
    #[msg("no verifier of this class may judge this audit")]
    NoVerifier,
    /// 6050
    #[msg("the audit is not in the state that this needs")]
    AuditState,
    /// 6051
    #[msg("the time for this is over")]
    VerdictLate,
    /// 6052
    #[msg("verdicts or appeals are still possible")]
    VerdictOpen,
    /// 6053
    #[msg("no larger panel is left to appeal to")]
    NotAppealable,
    /// 6054
    #[msg("the outcome asks for no punishment here, or the audit is in shadow mode")]
    NothingToPunish,
    /// 6055
    #[msg("this part of the audit is done already")]
    AlreadyDone,
    /// 6056
    #[msg("the commitment is about another receipt, too late or not of a worker of the authority")]
    CanaryMismatch,
    /// 6057
    #[msg("the determinism class is disabled")]
    ClassDisabled,
    /// 6058
    #[msg("the verifier is in good standing")]
    StillFit,
    /// 6059
    #[msg("payments or penalties of the audit are still to be made")]
    AuditUnfinished,
    /// 6060
    #[msg("the accused may still answer, or the challenger still prove, until the deadline of the dispute")]
    DisputePending = 60,
    /// 6061
    #[msg("the dispute is of another kind or not in the state that this needs")]
    DisputeState,
    /// 6062
    #[msg("the deadline of the dispute is over; resolve it")]
    DisputeOver,
    /// 6063
    #[msg("what is shown does not answer the dispute")]
    NotAnAnswer,
    /// 6064
    #[msg("what is shown proves no fault")]
    NoFault,
    /// 6065
    #[msg("only the challenger of the dispute may do this")]
    NotTheChallenger,
    /// 6066
    #[msg("only the operator of the receipt's worker may claim for it")]
    NotTheOperator,
    /// 6067
    #[msg("the accused owes nothing that is not shown or refunded already")]
    NothingOwed,
    /// 6068
    #[msg("the gateway has posted a batch for this epoch; dispute the batch instead")]
    BatchPosted,
    /// 6069
    #[msg("the gateway may still post its batch on time")]
    PostWindowOpen,
    /// 6070
    #[msg("the dispute keeps the same accusation from being raised twice; close it when its subject has ended")]
    SubjectOpen,
    /// 6071
    #[msg("a dispute about the channel has no outcome yet")]
    ChannelDisputed,
    /// 6072
    #[msg("the last settlement of the channel was not the gateway's, so it cannot have overcharged")]
    NotSettledByGateway,
    /// 6100
    #[msg("a bounty adds 1 to 1,000 bps and asks the container for at most 1,000")]
    BountyTerms = 100,
    /// 6101
    #[msg("a bounty pays lines in order, and this one lies before the last that it paid or before its beginning")]
    BountyOrder = 101,
    /// 6102
    #[msg("the sponsor has ended the bounty")]
    BountyEnded = 102,
    /// 6103
    #[msg("the bounty closes after it was ended and its curator has had its time to claim")]
    BountyOpen = 103,
    /// 6104
    #[msg("the bounty is for another gateway, container or curator")]
    BountyMismatch = 104,
    /// 6105
    #[msg("the batch has void lines: no bounty pays for it")]
    BountyForfeit = 105,
    /// 6106
    #[msg("the container gives its curator less than the bounty asks for")]
    BountyShare = 106,
    /// 6110
    #[msg("the receipt is not sponsored, not paid, or was paid for in another way")]
    NotSponsored = 110,
    /// 6111
    #[msg("the campaign holds no slot of this auction, or the batch is of another day")]
    SlotMismatch = 111,
    /// 6112
    #[msg("the consumer's channel was not a day old at the request")]
    ChannelTooYoung = 112,
    /// 6113
    #[msg("the campaign has already paid for this event")]
    EventCharged = 113,
    /// 6114
    #[msg("the campaign still exists, so the event keeps it from being charged twice")]
    EventLive = 114,
    /// 6116
    #[msg("the withdrawal is above what the pool may pay in an hour and waits: try again from its `due_at` on")]
    OutflowDelayed = 116,
    /// 6117
    #[msg("withdrawals were paused for 72 hours already; they can be paused again 30 days after that")]
    PauseSpent,
    /// 6128
    #[msg("the fees of a day are kept for 90 days after its end; try again then")]
    FeeDayKept = 128,
}

impl From<ChannelError> for SettleError {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::BadInput => Self::InvariantBroken,
            ChannelError::Inactive => Self::Inactive,
            ChannelError::StaleClaim => Self::StaleClaim,
            ChannelError::AboveCeiling => Self::AboveCeiling,
        }
    }
}

impl From<AmountError> for SettleError {
    fn from(error: AmountError) -> Self {
        match error {
            AmountError::Overflow => Self::Overflow,
            _ => Self::InvariantBroken,
        }
    }
}
