//! What anyone may call: each moves money only along a path fixed by the state.

pub(crate) mod claim_line;
pub(crate) mod claim_lines;
pub(crate) mod close_channel;
pub(crate) mod close_event;
pub(crate) mod close_fee_day;
pub(crate) mod close_royalties;
pub(crate) mod finalize_batch;
pub(crate) mod open_earnings;
pub(crate) mod prove_event;
pub(crate) mod settle_promo;
pub(crate) mod settle_voucher;
pub(crate) mod share_royalties;
pub(crate) mod sweep_batch;
pub(crate) mod sweep_earnings;
pub(crate) mod sync_deposit;

pub use claim_line::*;
pub use claim_lines::*;
pub use close_channel::*;
pub use close_event::*;
pub use close_fee_day::*;
pub use close_royalties::*;
pub use finalize_batch::*;
pub use open_earnings::*;
pub use prove_event::*;
pub use settle_promo::*;
pub use settle_voucher::*;
pub use share_royalties::*;
pub use sweep_batch::*;
pub use sweep_earnings::*;
pub use sync_deposit::*;
