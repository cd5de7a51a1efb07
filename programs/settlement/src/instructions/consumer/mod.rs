//! What a consumer signs.

pub(crate) mod open_channel;
pub(crate) mod set_delegate;
pub(crate) mod revoke_delegate;
pub(crate) mod request_close;

pub use open_channel::*;
pub use set_delegate::*;
pub use revoke_delegate::*;
pub use request_close::*;
