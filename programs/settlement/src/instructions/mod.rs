//! One file per instruction, in the folder of who may call it. A handler validates, applies a transition of `state`,
//! moves tokens last, checks the invariants of what it wrote and reports.
//!
//! `dup` leaves out Anchor's search for a writable account that is named twice: it hashes every key, 450 compute units
//! each. It stands where no two can be one: they differ in type, or each has its address from another account.

pub mod admin;
pub mod auditor;
pub mod consumer;
pub mod crank;
pub mod dispute;
pub mod gateway;
pub mod payee;
pub mod sponsor;

pub use admin::*;
pub use auditor::*;
pub use consumer::*;
pub use crank::*;
pub use dispute::*;
pub use gateway::*;
pub use payee::*;
pub use sponsor::*;
