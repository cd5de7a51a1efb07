//! Instructions by who may call them.

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
