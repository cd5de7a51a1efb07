//! The only crate that knows Solana's RPC: typed reads, instruction builders, the catalogue that services watch, the
//! outbox that records a transaction before it is sent, and the indexer that follows the programs' events.

pub mod audit_intent;
pub mod audit_rule;
pub mod catalogue;
pub mod client;
pub mod closing;
pub mod disputes;
pub mod error;
pub mod indexer;
pub mod intent;
pub mod ix;
pub mod outbox;
pub mod packing;
pub mod promotion;
pub mod routing;

pub use audit_intent::AuditIntent;
pub use catalogue::{Catalogue, View};
pub use client::{Chain, SignedTransaction, TransactionState};
pub use error::ChainError;
pub use intent::Intent;
pub use outbox::Outbox;
pub use promotion::{Placement, Promotion};
pub use {coin, market, settlement};
