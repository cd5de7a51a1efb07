//! What a gateway's hot key signs.

pub(crate) mod close_batch;
pub(crate) mod open_gateway;
pub(crate) mod post_batch;
pub(crate) mod settle_delegated;
pub(crate) mod top_up_gateway;

pub use close_batch::*;
pub use open_gateway::*;
pub use post_batch::*;
pub use settle_delegated::*;
pub use top_up_gateway::*;
