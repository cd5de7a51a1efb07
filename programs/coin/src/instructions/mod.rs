//! Instructions by who may call them.

pub mod admin;
pub mod crank;
pub mod reporter;

pub use admin::*;
pub use crank::*;
pub use reporter::*;
