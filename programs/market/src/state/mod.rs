//! Accounts of the market program and their transitions.

mod artifact;
mod ask;
mod campaign;
mod config;
mod container;
mod det_class;
mod market;
mod node;
mod observation;
mod offence;
mod offer;
mod party;
mod pending_params;
mod region;
mod seat;
mod slash_ticket;
mod slot_auction;
mod snapshot;

pub use artifact::Artifact;
pub use ask::Ask;
pub use campaign::{Campaign, CampaignState, CampaignTerms};
pub use config::{BookParams, MarketConfig, MarketParams};
pub use container::{Container, ContainerState, Stage, StageKind};
pub use det_class::{DetClass, DetKind, DetRule};
pub use market::{Market, Roll};
pub use node::Node;
pub use observation::Observation;
pub use offence::{OFFENCES, Offence};
pub use offer::Offer;
pub use party::{Party, Role, Tier};
pub use pending_params::{PendingParams, Tunables};
pub use region::Region;
pub use seat::Seat;
pub use slash_ticket::SlashTicket;
pub use slot_auction::{AuctionState, SlotAuction, SlotBid, SoldSlot};
pub use snapshot::{Payees, SplitSnapshot};
