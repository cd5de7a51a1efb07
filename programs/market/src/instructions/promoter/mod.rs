//! What the owner of a campaign does.

pub(crate) mod bid_slot;
pub(crate) mod close_campaign;
pub(crate) mod create_campaign;
pub(crate) mod top_up_campaign;

pub use bid_slot::*;
pub use close_campaign::*;
pub use create_campaign::*;
pub use top_up_campaign::*;
