//! Instructions by who may call them.
//!
//! `dup` leaves out Anchor's search for a writable account that is named twice: it hashes every key, 450 compute units
//! each. It stands where no two can be one: they differ in type, or each has its address from another account.

pub mod admin;
pub mod crank;
pub mod gateway;
pub mod party;
pub mod promoter;
pub mod settlement;
pub mod vendor;
pub mod weaver;
pub mod worker;

pub use admin::*;
pub use crank::*;
pub use gateway::*;
pub use party::*;
pub use promoter::*;
pub use settlement::*;
pub use vendor::*;
pub use weaver::*;
pub use worker::*;
