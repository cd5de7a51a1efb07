//! Steps that anyone may take.

pub(crate) mod close_ticket;
pub(crate) mod roll_container;

pub use close_ticket::*;
pub use roll_container::*;
