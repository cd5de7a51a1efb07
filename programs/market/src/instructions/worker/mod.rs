//! What operators of workers do.

pub(crate) mod post_offer;
pub(crate) mod register_node;
pub(crate) mod renew_node;
pub(crate) mod revoke_node;

pub use post_offer::*;
pub use register_node::*;
pub use renew_node::*;
pub use revoke_node::*;
