//! Accounts of the market program and their transitions.

mod artifact;
mod ask;
mod config;
mod container;
mod market;
mod node;
mod offer;
mod party;
mod region;
mod snapshot;

pub use artifact::Artifact;
pub use ask::Ask;
pub use config::{MarketConfig, MarketParams};
pub use container::{Container, ContainerState, Stage, StageKind};
pub use market::Market;
pub use node::Node;
pub use offer::Offer;
pub use party::{Party, Role};
pub use region::Region;
pub use snapshot::{Payees, SplitSnapshot};
