//! Genesis, authorities and pause.

pub(crate) mod accept_authority;
pub(crate) mod init_config;
pub(crate) mod pause_program;
pub(crate) mod propose_authority;
pub(crate) mod resume_program;

pub use accept_authority::*;
pub use init_config::*;
pub use pause_program::*;
pub use propose_authority::*;
pub use resume_program::*;
