//! What only the settlement program does here, signed by its address.

pub(crate) mod slash;

pub use slash::*;
