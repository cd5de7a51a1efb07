//! The errors of this program. Append only: clients know the numbers.

use anchor_lang::prelude::*;

/// Why an instruction of the market program was refused.
#[error_code]
#[derive(PartialEq, Eq)]
pub enum MarketError {
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
    #[msg("no authority change is pending for this signer")]
    NothingPending,
    /// 6004
    #[msg("only the program's upgrade authority may initialise it")]
    NotDeployer,
    /// 6005
    #[msg("unknown pause flag")]
    UnknownFlag,
    /// 6006
    #[msg("a parameter outside the compiled bounds")]
    ParamOutOfBounds,
    /// 6007
    #[msg("arithmetic overflow")]
    Overflow,
    /// 6008
    #[msg("the clock cannot be turned into an epoch")]
    BadClock,
    /// 6009
    #[msg("an account is not in a state the program writes")]
    Invariant,
    /// 6010
    #[msg("an amount must not be zero")]
    ZeroAmount,
    /// 6011
    #[msg("the stake holds less than the amount")]
    InsufficientStake,
    /// 6012
    #[msg("the unbonding time is not over")]
    StillUnbonding,
    /// 6013
    #[msg("nothing is unbonding")]
    NothingUnbonding,
    /// 6014
    #[msg("the party's stake is below the minimum of its role")]
    BelowMinimumStake,
    /// 6015
    #[msg("the party is banned")]
    Banned,
    /// 6016
    #[msg("token account of another mint")]
    WrongMint,
    /// 6017
    #[msg("token account of another owner")]
    WrongTokenOwner,
    /// 6018
    #[msg("the delegation expires too early or too late")]
    BadExpiry,
    /// 6019
    #[msg("the node was revoked")]
    NodeRevoked,
    /// 6020
    #[msg("the node's delegation has expired")]
    NodeExpired,
    /// 6021
    #[msg("a region is 1 to 12 lower-case ASCII letters, digits or dashes, padded with zeros")]
    BadRegion,
    /// 6022
    #[msg("the base price must lie between floor and reserve")]
    BaseOutOfBounds,
    /// 6023
    #[msg("the base price moves more than one step")]
    StepTooLarge,
    /// 6024
    #[msg("the base price was already set in this pricing epoch")]
    AlreadySet,
    /// 6025
    #[msg("a tick is 0 to 63")]
    BadTick,
    /// 6026
    #[msg("the node's class or region differs from the market's")]
    WrongMarket,
    /// 6027
    #[msg("names are 1 to 48 bytes, licences at most 32")]
    BadName,
    /// 6028
    #[msg("a container has 1 to 8 stages, each with a weight")]
    BadStages,
    /// 6029
    #[msg("the curator's share is above the maximum")]
    BetaTooHigh,
    /// 6030
    #[msg("the account is not the one this instruction needs")]
    WrongAccount,
    /// 6031
    #[msg("this role does not ask a price")]
    RoleHasNoAsk,
    /// 6032
    #[msg("an ask of the next pricing epoch can no longer be replaced")]
    AskFrozen,
    /// 6033
    #[msg("a snapshot is made for this pricing epoch, or for the next during its last settlement epoch")]
    WrongPricingEpoch,
    /// 6034
    #[msg("the container is retired")]
    ContainerRetired,
    /// 6035
    #[msg("the price is above what the container promises")]
    PriceAboveCeiling,
    /// 6036
    #[msg("the asks and shares give no price")]
    NoPrice,
    /// 6037
    #[msg("the remaining accounts are not the markets of the other stages")]
    WrongRemainingAccounts,
    /// 6038
    #[msg("another revision of the account was expected")]
    UnexpectedRevision,
    /// 6039
    #[msg("the artifact's licence allows no derivatives; its vendor opens it with set_ceiling")]
    NotLicensed = 39,
    /// 6040
    #[msg("the artifact is linked already; a link is made once")]
    AlreadyLinked = 40,
    /// 6041
    #[msg("others derive from the artifact, so its own lineage stays as it is")]
    HasDerivatives = 41,
    /// 6042
    #[msg("a lineage has at most 8 artifacts")]
    LineageFull = 42,
    /// 6043
    #[msg("the licence's ceiling is above what the vendor accepts; look at it and raise the guard")]
    CeilingAboveGuard = 43,
    /// 6044
    #[msg(
        "a derived model needs the royalty table of its artifact and pricing epoch, and that needs an ask of each ancestor, root first"
    )]
    WrongRoyalties = 44,
    /// 6045
    #[msg("the royalty table is still needed for claims")]
    RoyaltiesInUse = 45,
    /// 6046
    #[msg("the curator's share moves at most 100 bps per pricing epoch")]
    BetaStep = 46,
    /// 6047
    #[msg("the curator's share of the next pricing epoch can no longer be replaced")]
    BetaFrozen = 47,
    /// 6060
    #[msg("the party is jailed: it takes no new work before the moment its account names")]
    Jailed = 60,
    /// 6061
    #[msg("an offence lies in an epoch that has begun")]
    FutureOffence,
    /// 6062
    #[msg("a slash ticket stays for 60 days after its last use")]
    TicketOpen,
    /// 6063
    #[msg("slashed tokens cannot go back into the stake they come from")]
    SlashedToItself,
    /// 6064
    #[msg("the owner's stake answers for less capacity: add stake or offer less")]
    CapacityAboveStake,
    /// 6065
    #[msg("one owner adds to at most its part of a book")]
    OwnerCap,
    /// 6066
    #[msg("demand is reported in the first twelve settlement epochs of a pricing epoch")]
    NotObserving,
    /// 6067
    #[msg("the gateway's stake answers for less demand than it reports")]
    DemandAboveStake,
    /// 6068
    #[msg("a book clears from the thirteenth settlement epoch of a pricing epoch on, and not in its last")]
    NotClearing,
    /// 6069
    #[msg("the book was already cleared for the next pricing epoch")]
    AlreadyRolled,
    /// 6070
    #[msg("parameters apply two settlement epochs after they were proposed, or later")]
    TooEarly,
    /// 6071
    #[msg("the length of an epoch cannot change")]
    EpochLength,
    /// 6072
    #[msg("the account is still needed")]
    StillNeeded,
    /// 6073
    #[msg("tiers are for providers")]
    RoleHasNoTier,
    /// 6074
    #[msg("the minimum stakes were already converted in this pricing epoch, or none is given in USD")]
    MinimaUnchanged,
    /// 6075
    #[msg("the rate of AIC is stale: wait for the reporters")]
    StaleRate,
    /// 6076
    #[msg("an offer is removed when its node or its owner can no longer serve, or when it is empty")]
    OfferStands,
    /// 6080
    #[msg("the campaign is closed: it bids no more and takes no money")]
    CampaignClosing = 80,
    /// 6081
    #[msg("the campaign still bids: close it first")]
    CampaignOpen = 81,
    /// 6082
    #[msg("charges may still come: withdraw a day after closing and two days after the last day bid for")]
    CampaignNotOver = 82,
    /// 6083
    #[msg("the bid after pacing is below the reserve price")]
    BidBelowReserve = 83,
    /// 6084
    #[msg("bids are taken for the next seven days, until one settlement epoch before the day begins")]
    BiddingClosed = 84,
    /// 6085
    #[msg("the auction holds sixteen bids of at least this score: bid more")]
    AuctionFull = 85,
    /// 6086
    #[msg("another campaign bids for the same container on this day")]
    ContainerHasBid = 86,
    /// 6087
    #[msg("bidding goes on: roll the slots after it has ended and before the day is over")]
    NotRollable = 87,
    /// 6088
    #[msg("the slots were already rolled")]
    SlotsRolled = 88,
    /// 6089
    #[msg("the campaign holds no slot of this auction")]
    NoSlot = 89,
    /// 6090
    #[msg("the campaign's events of this day have reached its daily cap")]
    DailyCapReached = 90,
    /// 6091
    #[msg("the escrow holds too little: top the campaign up")]
    EscrowTooSmall = 91,
    /// 6092
    #[msg("a quality is 5,000 to 15,000 bps")]
    BadQuality = 92,
    /// 6093
    #[msg("the daily target is at least the reserve price and at most the daily cap")]
    BadBudget = 93,
    /// 6094
    #[msg("no stage of the container buys in this market")]
    NotInMarket = 94,
    /// 6095
    #[msg("the day's events can still be charged")]
    AuctionLive = 95,
    /// 6096
    #[msg("the day's events can no longer be charged")]
    ChargesOver = 96,
    /// 6110
    #[msg("the determinism class takes no new nodes: it is disabled")]
    DetClassDisabled = 110,
}

impl From<coin::authority::AuthorityError> for MarketError {
    fn from(error: coin::authority::AuthorityError) -> Self {
        match error {
            coin::authority::AuthorityError::DefaultKey => Self::DefaultKey,
            coin::authority::AuthorityError::NothingPending => Self::NothingPending,
        }
    }
}
