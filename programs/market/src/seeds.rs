//! Every seed of this program's accounts and the functions that find them. The first seed is the account's type,
//! integers are little-endian.

use anchor_lang::prelude::Pubkey;

use crate::{ID, state::Role};

/// Seed of [`crate::state::MarketConfig`].
pub const CONFIG: &[u8] = b"cfg";
/// First seed of [`crate::state::Party`]: then owner, role.
pub const PARTY: &[u8] = b"party";
/// First seed of a party's stake, a token account: then the party's address.
pub const STAKE: &[u8] = b"stake";
/// First seed of [`crate::state::Node`]: then the worker key.
pub const NODE: &[u8] = b"node";
/// First seed of [`crate::state::Market`]: then its id.
pub const MARKET: &[u8] = b"mkt";
/// First seed of [`crate::state::Offer`]: then the market's address, the worker key.
pub const OFFER: &[u8] = b"offer";
/// First seed of [`crate::state::Ask`]: then the subject, role.
pub const ASK: &[u8] = b"ask";
/// First seed of [`crate::state::Artifact`]: then its hash.
pub const ARTIFACT: &[u8] = b"art";
/// First seed of [`crate::state::Container`]: then its id.
pub const CONTAINER: &[u8] = b"ctr";
/// First seed of [`crate::state::SplitSnapshot`]: then container id, stage, pricing epoch.
pub const SNAPSHOT: &[u8] = b"snap";
/// First seed of [`crate::state::SlashTicket`]: then the party's address, settlement epoch.
pub const TICKET: &[u8] = b"tick";
/// First seed of [`crate::state::Seat`]: then the market's address, owner.
pub const SEAT: &[u8] = b"seat";
/// First seed of [`crate::state::Observation`]: then the market's address, gateway.
pub const OBSERVATION: &[u8] = b"obs";
/// First seed of a pending change: then what would change.
pub const PENDING: &[u8] = b"pend";
/// Second seed of [`crate::state::PendingParams`].
pub const PARAMS: &[u8] = b"params";
/// First seed of [`crate::state::DetClass`]: then its id.
pub const DET_CLASS: &[u8] = b"det";
/// First seed of [`crate::state::Campaign`]: then owner, id.
pub const CAMPAIGN: &[u8] = b"camp";
/// First seed of a campaign's escrow, a token account: then the campaign's address.
pub const ESCROW: &[u8] = b"escrow";
/// First seed of [`crate::state::SlotAuction`]: then the market's address, the day.
pub const SLOT_AUCTION: &[u8] = b"slot";
/// First seed of [`crate::state::Royalties`]: then the derivative's hash, pricing epoch.
pub const ROYALTIES: &[u8] = b"roy";

/// Address and bump of the configuration.
#[must_use]
pub fn find_config() -> (Pubkey, u8) {
    Pubkey::find_program_address(&[CONFIG], &ID)
}

/// Address and bump of a party.
#[must_use]
pub fn find_party(owner: &Pubkey, role: Role) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[PARTY, owner.as_ref(), &[role as u8]], &ID)
}

/// Address and bump of a party's stake.
#[must_use]
pub fn find_stake(party: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[STAKE, party.as_ref()], &ID)
}

/// Address and bump of a node.
#[must_use]
pub fn find_node(worker: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[NODE, worker.as_ref()], &ID)
}

/// Address and bump of a market.
#[must_use]
pub fn find_market(id: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[MARKET, &id.to_le_bytes()], &ID)
}

/// Address and bump of an offer.
#[must_use]
pub fn find_offer(market: &Pubkey, worker: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[OFFER, market.as_ref(), worker.as_ref()], &ID)
}

/// Address and bump of an ask. The subject is an artifact's hash for vendor and OEM, a container's id for the weaver.
#[must_use]
pub fn find_ask(subject: &[u8; 32], role: Role) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[ASK, subject, &[role as u8]], &ID)
}

/// Address and bump of an artifact.
#[must_use]
pub fn find_artifact(hash: &[u8; 32]) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[ARTIFACT, hash], &ID)
}

/// Address and bump of a container.
#[must_use]
pub fn find_container(id: &[u8; 32]) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[CONTAINER, id], &ID)
}

/// Address and bump of a snapshot.
#[must_use]
pub fn find_snapshot(container: &[u8; 32], stage: u8, pricing_epoch: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[SNAPSHOT, container, &[stage], &pricing_epoch.to_le_bytes()], &ID)
}

/// Address and bump of a slash ticket.
#[must_use]
pub fn find_ticket(party: &Pubkey, epoch: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[TICKET, party.as_ref(), &epoch.to_le_bytes()], &ID)
}

/// Address and bump of a determinism class.
#[must_use]
pub fn find_det_class(id: u16) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[DET_CLASS, &id.to_le_bytes()], &ID)
}

/// Address and bump of an owner's seat in a market's book.
#[must_use]
pub fn find_seat(market: &Pubkey, owner: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[SEAT, market.as_ref(), owner.as_ref()], &ID)
}

/// Address and bump of what a gateway last observed in a market.
#[must_use]
pub fn find_observation(market: &Pubkey, gateway: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[OBSERVATION, market.as_ref(), gateway.as_ref()], &ID)
}

/// Address and bump of the proposed parameters.
#[must_use]
pub fn find_pending_params() -> (Pubkey, u8) {
    Pubkey::find_program_address(&[PENDING, PARAMS], &ID)
}

/// Address and bump of a campaign.
#[must_use]
pub fn find_campaign(owner: &Pubkey, id: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[CAMPAIGN, owner.as_ref(), &id.to_le_bytes()], &ID)
}

/// Address and bump of a campaign's escrow.
#[must_use]
pub fn find_escrow(campaign: &Pubkey) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[ESCROW, campaign.as_ref()], &ID)
}

/// Address and bump of the slot auction of a market (by its address) and day.
#[must_use]
pub fn find_slot_auction(market: &Pubkey, day: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[SLOT_AUCTION, market.as_ref(), &day.to_le_bytes()], &ID)
}

/// Address and bump of a royalty table.
#[must_use]
pub fn find_royalties(artifact: &[u8; 32], pricing_epoch: u32) -> (Pubkey, u8) {
    Pubkey::find_program_address(&[ROYALTIES, artifact, &pricing_epoch.to_le_bytes()], &ID)
}
