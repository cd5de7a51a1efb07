//! Steps that anyone may take.

pub(crate) mod burn_fees;
pub(crate) mod release;
pub(crate) mod release_team;
pub(crate) mod roll_rate;

pub use burn_fees::*;
pub use release::*;
pub use release_team::*;
pub use roll_rate::*;
