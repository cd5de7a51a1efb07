//! The settlement program: prepaid channels, epoch batches under Merkle-sum roots, claims split by the frozen
//! snapshot, and earnings. No gateway chooses a split, and no role needs SOL to be paid.
#![allow(clippy::result_large_err)] // Anchor's error type

use anchor_lang::prelude::*;
#[cfg(target_arch = "bpf")]
use solana_compiler_builtins as _;

pub mod constants;
pub mod error;
pub mod seeds;
pub mod state;

declare_id!("4eMsxhRZpA6grmDojUWwXitv67Y1KcQ7YDEc5itLWSQa");

#[program]
pub mod settlement {}
