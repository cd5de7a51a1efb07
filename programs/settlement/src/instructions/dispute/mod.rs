//! Accusations and how they end. Whoever accuses lodges a bond; whoever's turn it is and stays silent loses. Every
//! dispute ends in `resolve_*`, which anyone may call.

pub(crate) mod close_dispute;
pub(crate) mod direct_claim;
pub(crate) mod open_dispute;
pub(crate) mod open_equivocation;
pub(crate) mod open_overcharge;
pub(crate) mod open_underpaid;
pub(crate) mod prove_dispute;
pub(crate) mod prove_equivocation;
pub(crate) mod prove_order;
pub(crate) mod prove_price;
pub(crate) mod resolve_direct_claim;
pub(crate) mod resolve_dispute;
pub(crate) mod resolve_equivocation;
pub(crate) mod resolve_overcharge;
pub(crate) mod respond_dispute;
pub(crate) mod respond_line;
pub(crate) mod respond_overcharge;
pub(crate) mod stage_evidence;

pub use close_dispute::*;
pub use direct_claim::*;
pub use open_dispute::*;
pub use open_equivocation::*;
pub use open_overcharge::*;
pub use open_underpaid::*;
pub use prove_dispute::*;
pub use prove_equivocation::*;
pub use prove_order::*;
pub use prove_price::*;
pub use resolve_direct_claim::*;
pub use resolve_dispute::*;
pub use resolve_equivocation::*;
pub use resolve_overcharge::*;
pub use respond_dispute::*;
pub use respond_line::*;
pub use respond_overcharge::*;
pub use stage_evidence::*;
