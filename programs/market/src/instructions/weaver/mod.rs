//! What builders of containers do.

pub(crate) mod create_container;
pub(crate) mod retire_container;

pub use create_container::*;
pub use retire_container::*;
