//! What every party does: stake and asks.

pub(crate) mod add_stake;
pub(crate) mod begin_unstake;
pub(crate) mod finish_unstake;
pub(crate) mod post_ask;
pub(crate) mod register_party;
pub(crate) mod set_tier;

pub use add_stake::*;
pub use begin_unstake::*;
pub use finish_unstake::*;
pub use post_ask::*;
pub use register_party::*;
pub use set_tier::*;
