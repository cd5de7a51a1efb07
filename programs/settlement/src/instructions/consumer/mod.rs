//! What a consumer signs.

mod open_channel;
mod set_delegate;
mod revoke_delegate;
mod request_close;

pub use open_channel::*;
pub use set_delegate::*;
pub use revoke_delegate::*;
pub use request_close::*;
