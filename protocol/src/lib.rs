//! What gateway, scheduler and worker say to each other: typed ids, frames, signed receipts and the `Dispatch` trait.
//! No I/O happens here; transports live in the services.

pub mod audit;
pub mod dispatch;
pub mod frame;
pub mod id;
pub mod receipt;
pub mod signing;

pub use dispatch::{Dispatch, DispatchError, Dispatched, EventStream, RouteWish, WorkerView};
pub use id::{ArtifactId, ChannelId, ContainerId, RequestId, WalletId, WorkerId};
pub use receipt::SignedReceipt;
