//! What owners of models do.

pub(crate) mod register_artifact;

pub use register_artifact::*;
