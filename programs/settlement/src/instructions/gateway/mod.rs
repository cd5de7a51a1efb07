//! What a gateway's hot key signs.

mod open_gateway;
mod top_up_gateway;
mod settle_delegated;
mod post_batch;
mod close_batch;

pub use open_gateway::*;
pub use top_up_gateway::*;
pub use settle_delegated::*;
pub use post_batch::*;
pub use close_batch::*;
