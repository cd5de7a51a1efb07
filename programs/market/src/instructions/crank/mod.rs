//! Steps that anyone may take.

pub(crate) mod apply_params;
pub(crate) mod close_ask;
pub(crate) mod close_container;
pub(crate) mod close_node;
pub(crate) mod close_observation;
pub(crate) mod close_royalties;
pub(crate) mod close_seat;
pub(crate) mod close_slot_auction;
pub(crate) mod close_snapshot;
pub(crate) mod close_ticket;
pub(crate) mod remove_offer;
pub(crate) mod roll_container;
pub(crate) mod roll_market;
pub(crate) mod roll_minima;
pub(crate) mod roll_royalties;
pub(crate) mod roll_slots;
pub(crate) mod withdraw_campaign;

pub use apply_params::*;
pub use close_ask::*;
pub use close_container::*;
pub use close_node::*;
pub use close_observation::*;
pub use close_royalties::*;
pub use close_seat::*;
pub use close_slot_auction::*;
pub use close_snapshot::*;
pub use close_ticket::*;
pub use remove_offer::*;
pub use roll_container::*;
pub use roll_market::*;
pub use roll_minima::*;
pub use roll_royalties::*;
pub use roll_slots::*;
pub use withdraw_campaign::*;
