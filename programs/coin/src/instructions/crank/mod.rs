//! Steps that anyone may take.

pub(crate) mod roll_rate;

pub use roll_rate::*;
