//! Durable state of Waybill's services in SQL (SQLite or Postgres, one text for both) and the hub that replicas share
//! (in process or Redis). Charging goes through [`Ledger`], a group-commit actor; everything else through [`Store`].

mod audits;
mod batches;
mod channels;
mod db;
mod error;
pub mod hub;
mod indexer;
mod keys;
pub mod ledger;
mod material;
mod notes;
mod outbox;
mod receipts;
mod referrals;
mod sql;
#[cfg(feature = "testing")]
pub mod testing;

pub use audits::{Audit, AuditState, DrawId, NewAudit, StoredVerdict};
pub use batches::{Batch, BatchId, BatchStatus, LineLeaf, NewBatch, ReceiptLeaf, StoredLine};
pub use channels::Channel;
pub use db::{Backend, Store};
pub use error::StoreError;
pub use hub::{Hub, HubError, LocalHub, RedisHub};
pub use indexer::{ChainEvent, Cursor, EventPage, Projection};
pub use keys::{ApiKey, NewApiKey};
pub use ledger::{Charge, Charged, IssuableNote, Ledger, LedgerConfig, LedgerError, NonceBlock};
pub use material::{MaterialKey, SealedMaterial};
pub use notes::SignedNote;
pub use outbox::{NewOutbox, OutboxRow, OutboxStatus, Transition};
pub use receipts::{LineState, OpenEpoch, ReceiptBundle};
pub use referrals::Referral;
