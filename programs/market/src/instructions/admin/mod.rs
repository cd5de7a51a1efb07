//! Configuration, markets, authorities and pause.

pub(crate) mod accept_authority;
pub(crate) mod create_market;
pub(crate) mod init_config;
pub(crate) mod pause;
pub(crate) mod propose_authority;
pub(crate) mod propose_params;
pub(crate) mod register_det_class;
pub(crate) mod resume;
pub(crate) mod set_quality;
pub(crate) mod tune_det_class;

pub use accept_authority::*;
pub use create_market::*;
pub use init_config::*;
pub use pause::*;
pub use propose_authority::*;
pub use propose_params::*;
pub use register_det_class::*;
pub use resume::*;
pub use set_quality::*;
pub use tune_det_class::*;
