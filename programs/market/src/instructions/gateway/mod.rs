//! What gateways do.

pub(crate) mod observe_demand;

pub use observe_demand::*;
