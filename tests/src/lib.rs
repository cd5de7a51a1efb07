//! The on-chain test harness: a [`World`] runs the built SBF programs in LiteSVM, with mainnet's features and
//! signature checks, over a genesis of our own programs. Nothing here executes a program natively.
//!
//! * the `.so` files come from `WAYBILL_PROGRAMS`, or `deploy` in the target directory (`tools/sbf/build`);
//! * only [`World::payer`] owns SOL: it pays every fee and rent, so each scenario shows that no role needs SOL;
//! * keys are derived from names, time is set by hand: a scenario is the same on every run;
//! * [`probe`] breaks the first accepted call of each instruction in every account and demands refusals;
//! * [`World::measure`] holds an instruction to its compute ceiling and records what it used.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, clippy::result_large_err)]

pub mod compute;
mod family;
pub mod ix;
pub mod ix_bounty;
pub mod ix_coin;
pub mod ix_lineage;
pub mod ix_promo;
pub mod ix_stake;
mod network;
pub mod probe;
mod sent;
mod world;

pub use family::Family;
pub use network::{Network, REGION};
pub use sent::{Refused, Sent, assert_refused};
pub use world::{AIC, START, World, event_authority, key, program_dir};
