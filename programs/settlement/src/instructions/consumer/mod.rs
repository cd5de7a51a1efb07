//! What a consumer signs.

pub(crate) mod open_channel;
pub(crate) mod request_close;
pub(crate) mod revoke_delegate;
pub(crate) mod set_delegate;

pub use open_channel::*;
pub use request_close::*;
pub use revoke_delegate::*;
pub use set_delegate::*;
