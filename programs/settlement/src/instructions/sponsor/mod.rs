//! What who pays a bounty does.

pub(crate) mod close_bounty;
pub(crate) mod end_bounty;
pub(crate) mod fund_bounty;
pub(crate) mod open_bounty;

pub use close_bounty::*;
pub use end_bounty::*;
pub use fund_bounty::*;
pub use open_bounty::*;
