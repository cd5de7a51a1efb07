//! What reporters of the rate do.

pub(crate) mod submit_rate;

pub use submit_rate::*;
