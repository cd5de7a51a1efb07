//! Accounts of the coin program and their transitions.

mod breaker;
mod config;
mod rate;
mod release;
mod spend;
mod vault;

pub use breaker::Breaker;
pub use config::CoinConfig;
pub use rate::{Rate, RateView, Submission};
pub use release::{FeeRecord, Release};
pub use spend::PendingSpend;
pub use vault::VaultKind;
