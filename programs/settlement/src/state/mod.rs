//! The accounts of the program: layout, transitions and invariants.

pub mod audit;
pub mod batch;
pub mod bounty;
pub mod breaker;
pub mod canary;
pub mod channel;
pub mod config;
pub mod dispute;
pub mod earnings;
pub mod fee_day;
pub mod gateway_vault;
#[cfg(test)]
mod layout;
pub mod promo_event;
pub mod staged_receipt;
pub mod verifier_set;
pub mod worker_record;

pub use audit::*;
pub use batch::*;
pub use bounty::*;
pub use breaker::*;
pub use canary::*;
pub use channel::*;
pub use config::*;
pub use dispute::*;
pub use earnings::*;
pub use fee_day::*;
pub use gateway_vault::*;
pub use promo_event::*;
pub use staged_receipt::*;
pub use verifier_set::*;
pub use worker_record::*;
