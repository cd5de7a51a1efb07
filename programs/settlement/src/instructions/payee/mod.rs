//! What the owner of earnings signs.

mod withdraw_earnings;
mod set_sweep;

pub use withdraw_earnings::*;
pub use set_sweep::*;
