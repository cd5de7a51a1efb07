//! What only the settlement program does here, signed by its address.

pub(crate) mod charge_promo;
pub(crate) mod slash;

pub use charge_promo::*;
pub use slash::*;
