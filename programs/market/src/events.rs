//! The events of this program. Accounts are the truth; events are the record. `seq` counts the events of `account`
//! without a gap. A released event never changes.

use anchor_lang::prelude::*;
use coin::authority::AuthorityRole;

use crate::{
    constants::{REGION_LEN, ROLES, SLOTS},
    state::{DetRule, Licence, Offence, Payees, Role, Tier, Tunables},
};

/// The program was configured.
#[event]
pub struct MarketInitialised {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The admin.
    pub admin: Pubkey,
    /// The stake token's mint.
    pub mint: Pubkey,
    /// Who may slash.
    pub slasher: Pubkey,
}

/// A party exists.
#[event]
pub struct PartyRegistered {
    /// The party.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// Its role.
    pub role: Role,
}

/// Stake came in.
#[event]
pub struct StakeAdded {
    /// The party.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// Base units.
    pub amount: u64,
    /// Its stake now.
    pub stake: u64,
}

/// Stake is on its way out.
#[event]
pub struct UnstakeBegun {
    /// The party.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// Base units.
    pub amount: u64,
    /// Its stake now.
    pub stake: u64,
    /// All that is on its way out now.
    pub unbonding: u64,
    /// When that may leave, unix seconds.
    pub until: i64,
}

/// Stake has left.
#[event]
pub struct UnstakeFinished {
    /// The party.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// The token account that received it.
    pub destination: Pubkey,
    /// Base units.
    pub amount: u64,
    /// Its stake now.
    pub stake: u64,
}

/// A worker key was delegated.
#[event]
pub struct NodeRegistered {
    /// The node.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Who earns.
    pub operator: Pubkey,
    /// Who works.
    pub worker: Pubkey,
    /// Where.
    pub region: [u8; REGION_LEN],
    /// Class of work.
    pub class: u16,
    /// Until when, unix seconds.
    pub expires: i64,
}

/// A delegation was extended.
#[event]
pub struct NodeRenewed {
    /// The node.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The operator that signed.
    pub operator: Pubkey,
    /// The end before.
    pub old_expires: i64,
    /// The end now.
    pub expires: i64,
}

/// A delegation was taken back.
#[event]
pub struct NodeRevoked {
    /// The node.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The operator that signed.
    pub operator: Pubkey,
    /// The key that lost it.
    pub worker: Pubkey,
}

/// A market exists.
#[event]
pub struct MarketCreated {
    /// The market.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its id.
    pub id: u32,
    /// Class of work.
    pub class: u16,
    /// Region.
    pub region: [u8; REGION_LEN],
    /// Base price, nc per 1,000 BU.
    pub base_nc: u64,
}

/// An offer stands in the book.
#[event]
pub struct OfferPosted {
    /// The offer.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The market.
    pub market: Pubkey,
    /// The worker.
    pub worker: Pubkey,
    /// The tick.
    pub tick: u8,
    /// BU per pricing epoch.
    pub capacity: u64,
}

/// An artifact exists.
#[event]
pub struct ArtifactRegistered {
    /// The artifact.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// SHA-256 of the model file.
    pub hash: [u8; 32],
    /// Its owner.
    pub vendor: Pubkey,
    /// Its optimiser; the default key = nobody.
    pub oem: Pubkey,
}

/// An ask was posted.
#[event]
pub struct AskPosted {
    /// The ask.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Who asks.
    pub owner: Pubkey,
    /// In which role.
    pub role: Role,
    /// The ask of the current pricing epoch, nc per 1,000 BU.
    pub value_nc: u64,
    /// The ask from `effective_epoch` on.
    pub pending_nc: u64,
    /// The pricing epoch it counts from.
    pub effective_epoch: u32,
}

/// A container exists.
#[event]
pub struct ContainerCreated {
    /// The container.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its id.
    pub id: [u8; 32],
    /// Its weaver.
    pub creator: Pubkey,
    /// How many stages it has.
    pub stages: u8,
}

/// The share of a container's curators will change.
#[event]
pub struct BetaChanged {
    /// The container.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its id.
    pub id: [u8; 32],
    /// The share of the present pricing epoch.
    pub old_bps: u16,
    /// The share from `effective_epoch` on.
    pub new_bps: u16,
    /// The pricing epoch it counts from.
    pub effective_epoch: u32,
    /// The container's revision now.
    pub revision: u16,
}

/// A container was ended.
#[event]
pub struct ContainerRetired {
    /// The container.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its id.
    pub id: [u8; 32],
    /// The weaver that signed.
    pub creator: Pubkey,
    /// Its revision now.
    pub revision: u16,
}

/// Price and split of a stage were frozen for a pricing epoch. A snapshot has this one event.
#[event]
pub struct SnapshotFrozen {
    /// The snapshot.
    pub account: Pubkey,
    /// Its event number, 1.
    pub seq: u64,
    /// Id of the container.
    pub container: [u8; 32],
    /// Index of the stage.
    pub stage: u8,
    /// The pricing epoch.
    pub pricing_epoch: u32,
    /// What a consumer pays, nc per 1,000 BU.
    pub price_nc: u64,
    /// Shares of vendor, OEM, compute, curator, weaver and fee.
    pub bps: [u16; 6],
    /// Who is paid.
    pub payees: Payees,
}

/// The terms on which others may derive from an artifact changed, for links made from now on.
#[event]
pub struct LicenceChanged {
    /// The artifact.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// SHA-256 of the model file.
    pub hash: [u8; 32],
    /// The terms before.
    pub old: Licence,
    /// The terms now.
    pub new: Licence,
}

/// An artifact became a derivative of another.
#[event]
pub struct LicenceLinked {
    /// The derivative.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// SHA-256 of the derivative's model file.
    pub hash: [u8; 32],
    /// SHA-256 of the parent's model file.
    pub parent: [u8; 32],
    /// The most the parent's ask counts in the derivative, nc per 1,000 BU.
    pub ceiling_nc: u64,
    /// How many artifacts the derivative descends from.
    pub ancestors: u8,
}

/// What the vendors of a lineage ask was frozen for a pricing epoch. A royalty table has this one event.
#[event]
pub struct RoyaltiesFrozen {
    /// The royalty table.
    pub account: Pubkey,
    /// Its event number, 1.
    pub seq: u64,
    /// SHA-256 of the derivative's model file.
    pub artifact: [u8; 32],
    /// The pricing epoch.
    pub pricing_epoch: u32,
    /// What all vendors ask together, nc per 1,000 BU.
    pub total_nc: u64,
    /// How many vendors share.
    pub rows: u8,
}

/// A change of authority was proposed.
#[event]
pub struct AuthorityProposed {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The role.
    pub role: AuthorityRole,
    /// Who holds it.
    pub old: Pubkey,
    /// Who may accept it.
    pub new: Pubkey,
}

/// A change of authority was accepted.
#[event]
pub struct AuthorityAccepted {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The role.
    pub role: AuthorityRole,
    /// Who held it.
    pub old: Pubkey,
    /// Who holds it.
    pub new: Pubkey,
}

/// Pause flags changed.
#[event]
pub struct PauseChanged {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Who signed.
    pub actor: Pubkey,
    /// The flags before.
    pub old: u16,
    /// The flags now.
    pub new: u16,
}

/// A party was punished.
#[event]
pub struct PartySlashed {
    /// The party.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// For what.
    pub offence: Offence,
    /// The settlement epoch of the offence.
    pub epoch: u32,
    /// To the harmed party for what it lost, AIC base units.
    pub restitution_aic: u64,
    /// Taken on top.
    pub penalty_aic: u64,
    /// The reporter's part of the penalty.
    pub reporter_aic: u64,
    /// The harmed party's part of the penalty.
    pub harmed_aic: u64,
    /// The part of the penalty that burned.
    pub burned_aic: u64,
    /// The token account of the reporter.
    pub reporter: Pubkey,
    /// The token account of the harmed party.
    pub harmed: Pubkey,
    /// Its stake now.
    pub stake: u64,
    /// What is on its way out now.
    pub unbonding: u64,
    /// It takes no new work before this moment, unix seconds.
    pub jailed_until: i64,
    /// It never works again.
    pub banned: bool,
}

/// A determinism class exists.
#[event]
pub struct DetClassRegistered {
    /// The class.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The params authority that signed.
    pub actor: Pubkey,
    /// Its number.
    pub id: u16,
    /// What it stands for.
    pub hash: [u8; 32],
    /// How outputs are compared.
    pub rule: DetRule,
}

/// How outputs of a class are compared has changed.
#[event]
pub struct DetClassTuned {
    /// The class.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The params authority that signed.
    pub actor: Pubkey,
    /// Its number.
    pub id: u16,
    /// The rule before.
    pub old: DetRule,
    /// The rule now.
    pub new: DetRule,
}

/// A gateway reported demand.
#[event]
pub struct DemandObserved {
    /// The observation.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The market.
    pub market: Pubkey,
    /// The gateway that signed.
    pub gateway: Pubkey,
    /// The pricing epoch in which it was reported; the report is about the one before.
    pub pricing_epoch: u32,
    /// What it reported, BU.
    pub units: u64,
    /// What all gateways together reported so far, BU.
    pub observed: u64,
}

/// A book was cleared for a pricing epoch.
#[event]
pub struct MarketRolled {
    /// The market.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The pricing epoch from which the base counts.
    pub pricing_epoch: u32,
    /// What gateways observed, BU; none when nobody reported.
    pub observed: Option<u64>,
    /// The smoothed demand now, BU per pricing epoch.
    pub demand: u64,
    /// Where the book clears, nc per 1,000 BU; none when it is exhausted or nothing was observed.
    pub marginal_nc: Option<u64>,
    /// The base before, nc per 1,000 BU.
    pub old_nc: u64,
    /// The base from `pricing_epoch` on.
    pub base_nc: u64,
}

/// An offer was taken out of the book and ended.
#[event]
pub struct OfferRemoved {
    /// The offer.
    pub account: Pubkey,
    /// Its event number, the last.
    pub seq: u64,
    /// The market.
    pub market: Pubkey,
    /// The worker.
    pub worker: Pubkey,
    /// What it had offered, BU per pricing epoch.
    pub capacity: u64,
}

/// A provider changed its tier.
#[event]
pub struct TierSet {
    /// The party.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// The tier before.
    pub old: Tier,
    /// The tier now.
    pub new: Tier,
}

/// Parameters were proposed.
#[event]
pub struct ParamsProposed {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The params authority that signed.
    pub actor: Pubkey,
    /// The settlement epoch from which they may apply.
    pub effective_epoch: u32,
    /// What holds.
    pub old: Tunables,
    /// What would hold.
    pub new: Tunables,
}

/// Proposed parameters apply now.
#[event]
pub struct ParamsApplied {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// What held.
    pub old: Tunables,
    /// What holds.
    pub new: Tunables,
}

/// Minimum stakes were converted at a rate.
#[event]
pub struct MinimaConverted {
    /// The configuration.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// AIC base units per USD.
    pub rate: u64,
    /// The minimum of each role now, AIC base units.
    pub min_stake: [u64; ROLES],
}

/// An account that served its time was ended; its rent went back to who had paid it.
#[event]
pub struct AccountClosed {
    /// The account.
    pub account: Pubkey,
    /// Its event number, the last; 0 for accounts that count none.
    pub seq: u64,
    /// Who got the rent.
    pub rent_payer: Pubkey,
}

/// A campaign exists.
#[event]
pub struct CampaignCreated {
    /// The campaign.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// Id of the container it promotes.
    pub container: [u8; 32],
    /// Id of the market it bids in.
    pub market: u32,
    /// The most a day may cost, nc.
    pub daily_cap_nc: u64,
    /// Base units paid into its escrow.
    pub amount: u64,
}

/// A campaign's escrow grew.
#[event]
pub struct CampaignToppedUp {
    /// The campaign.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The owner that signed.
    pub owner: Pubkey,
    /// Base units.
    pub amount: u64,
    /// The escrow now.
    pub escrow_aic: u64,
}

/// A campaign's measured quality changed.
#[event]
pub struct QualitySet {
    /// The campaign.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Who signed.
    pub actor: Pubkey,
    /// The quality before, bps.
    pub old_bps: u16,
    /// The quality now.
    pub quality_bps: u16,
}

/// A campaign bids for a day.
#[event]
pub struct SlotBidPlaced {
    /// The auction.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The campaign.
    pub campaign: Pubkey,
    /// The day, a pricing epoch.
    pub day: u32,
    /// nc per event, after pacing.
    pub bid_nc: u64,
    /// λ of the pacing, bps.
    pub pace_bps: u16,
    /// The campaign's quality, bps.
    pub quality_bps: u16,
}

/// The slots of a day are sold.
#[event]
pub struct SlotsRolled {
    /// The auction.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Id of the market.
    pub market: u32,
    /// The day, a pricing epoch.
    pub day: u32,
    /// The campaigns that hold the slots, in order; the default key = unsold.
    pub campaigns: [Pubkey; SLOTS],
    /// What an event costs in each, nc.
    pub prices_nc: [u64; SLOTS],
}

/// One event was charged to a campaign.
#[event]
pub struct PromoCharged {
    /// The campaign.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The auction in which it won the slot.
    pub auction: Pubkey,
    /// The token account that received the consumer's rebate.
    pub rebate: Pubkey,
    /// What the event cost, nc.
    pub price_nc: u64,
    /// To the consumer, base units.
    pub rebate_aic: u64,
    /// To whoever displayed the slot.
    pub display_aic: u64,
    /// Destroyed.
    pub burned_aic: u64,
    /// The escrow now.
    pub escrow_aic: u64,
}

/// A campaign bids no more.
#[event]
pub struct CampaignClosed {
    /// The campaign.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// The owner that signed.
    pub owner: Pubkey,
    /// When its escrow can be withdrawn, unix seconds.
    pub over_at: i64,
}

/// What a campaign did not spend went back, and the campaign is gone.
#[event]
pub struct CampaignWithdrawn {
    /// The campaign.
    pub account: Pubkey,
    /// Its event number.
    pub seq: u64,
    /// Its owner.
    pub owner: Pubkey,
    /// The owner's token account.
    pub destination: Pubkey,
    /// Base units.
    pub amount: u64,
}
