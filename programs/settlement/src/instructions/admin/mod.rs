//! Genesis, authorities and pause.

mod init_config;
mod propose_authority;
mod accept_authority;
mod pause_program;
mod resume_program;

pub use init_config::*;
pub use propose_authority::*;
pub use accept_authority::*;
pub use pause_program::*;
pub use resume_program::*;
