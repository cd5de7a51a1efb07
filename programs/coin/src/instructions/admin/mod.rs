//! Genesis, spending, authorities and pause.

pub(crate) mod accept_authority;
pub(crate) mod genesis_mint;
pub(crate) mod init_coin;
pub(crate) mod init_rate;
pub(crate) mod open_vault;
pub(crate) mod pause;
pub(crate) mod propose_authority;
pub(crate) mod resume;
pub(crate) mod revoke_mint;
pub(crate) mod spend_vault;

pub use accept_authority::*;
pub use genesis_mint::*;
pub use init_coin::*;
pub use init_rate::*;
pub use open_vault::*;
pub use pause::*;
pub use propose_authority::*;
pub use resume::*;
pub use revoke_mint::*;
pub use spend_vault::*;
