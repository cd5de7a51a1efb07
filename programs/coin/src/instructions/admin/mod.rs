//! Genesis, spending, reporters, authorities and pause.

pub(crate) mod accept_authority;
pub(crate) mod cancel_spend;
pub(crate) mod execute_spend;
pub(crate) mod genesis_mint;
pub(crate) mod init_coin;
pub(crate) mod init_rate;
pub(crate) mod init_release;
pub(crate) mod open_vault;
pub(crate) mod pause;
pub(crate) mod propose_authority;
pub(crate) mod propose_spend;
pub(crate) mod resume;
pub(crate) mod revoke_mint;
pub(crate) mod set_reporters;
pub(crate) mod spend_vault;

pub use accept_authority::*;
pub use cancel_spend::*;
pub use execute_spend::*;
pub use genesis_mint::*;
pub use init_coin::*;
pub use init_rate::*;
pub use init_release::*;
pub use open_vault::*;
pub use pause::*;
pub use propose_authority::*;
pub use propose_spend::*;
pub use resume::*;
pub use revoke_mint::*;
pub use set_reporters::*;
pub use spend_vault::*;
