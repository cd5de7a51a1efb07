//! Accounts of the coin program and their transitions.

mod config;
mod rate;
mod vault;

pub use config::CoinConfig;
pub use rate::{Rate, Submission};
pub use vault::VaultKind;
