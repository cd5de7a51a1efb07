//! The market program: who takes part and with what stake, which models and containers exist, what everyone asks,
//! and the price and split of each container stage, frozen once per pricing epoch.

#![allow(unexpected_cfgs)]

use anchor_lang::prelude::*;

#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

pub mod constants;
pub mod error;
pub mod seeds;
pub mod state;

declare_id!("GJsERMNcXPKLZYboNR9M8jjEALuLsN7WKP7fr6pM7GxD");
