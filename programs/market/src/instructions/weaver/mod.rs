//! What builders of containers do.

pub(crate) mod create_container;
pub(crate) mod retire_container;
pub(crate) mod set_beta;

pub use create_container::*;
pub use retire_container::*;
pub use set_beta::*;
