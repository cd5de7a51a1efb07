//! What the owner of earnings signs.

pub(crate) mod claim_bounty;
pub(crate) mod set_sweep;
pub(crate) mod withdraw_earnings;

pub use claim_bounty::*;
pub use set_sweep::*;
pub use withdraw_earnings::*;
