//! Steps that anyone may take.

pub(crate) mod roll_container;

pub use roll_container::*;
