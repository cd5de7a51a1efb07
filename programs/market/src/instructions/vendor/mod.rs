//! What owners of models do.

pub(crate) mod link_license;
pub(crate) mod register_artifact;
pub(crate) mod set_ceiling;

pub use link_license::*;
pub use register_artifact::*;
pub use set_ceiling::*;
