//! The choice of a worker: pure, deterministic under an injected generator and clock, and of constant cost in the size
//! of the fleet. Nothing here does I/O.

pub mod alias;
pub mod breaker;
pub mod candidate;
pub mod load;
pub mod rtt;
pub mod slow;
pub mod snapshot;

pub use alias::AliasTable;
pub use breaker::{Breaker, Failure, Gate};
pub use candidate::{Candidate, Demand, Speeds, Track};
pub use load::Load;
pub use slow::SlowRatio;
pub use snapshot::{Chosen, Drops, NoChoice, Query, Snapshot};
