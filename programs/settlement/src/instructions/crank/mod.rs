//! What anyone may call: each moves money only along a path fixed by the state.

mod sync_deposit;
mod settle_voucher;
mod close_channel;
mod finalize_batch;
mod open_earnings;
mod claim_line;
mod sweep_batch;
mod sweep_earnings;

pub use sync_deposit::*;
pub use settle_voucher::*;
pub use close_channel::*;
pub use finalize_batch::*;
pub use open_earnings::*;
pub use claim_line::*;
pub use sweep_batch::*;
pub use sweep_earnings::*;
