//! Agents of every role on the mechanism's own arithmetic: where prices and shares settle, how fast, and what an attack
//! earns. Prices, shares and amounts are computed by `waybill-mechanism` in integers; only what an agent thinks (its
//! strategy, its noise) is floating point. A run is a pure function of its seed.

pub mod attack;
pub mod compute;
pub mod draws;
pub mod prism;
pub mod promotion;
pub mod report;
pub mod scenario;

pub use report::{Report, Row, Series};
pub use scenario::{SCENARIOS, Scenario};
pub use waybill_mechanism::amount::AmountError;
