//! Accounts of the market program and their transitions.

mod artifact;
mod ask;
mod config;
mod container;
mod det_class;
mod market;
mod node;
mod offence;
mod offer;
mod party;
mod region;
mod slash_ticket;
mod snapshot;

pub use artifact::Artifact;
pub use ask::Ask;
pub use config::{MarketConfig, MarketParams};
pub use container::{Container, ContainerState, Stage, StageKind};
pub use det_class::{DetClass, DetKind, DetRule};
pub use market::Market;
pub use node::Node;
pub use offence::{OFFENCES, Offence};
pub use offer::Offer;
pub use party::{Party, Role, Tier};
pub use region::Region;
pub use slash_ticket::SlashTicket;
pub use snapshot::{Payees, SplitSnapshot};
