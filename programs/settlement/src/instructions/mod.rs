//! One file per instruction, in the folder of who may call it. A handler validates, applies a transition of `state`,
//! moves tokens last, checks the invariants of what it wrote and reports.

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
