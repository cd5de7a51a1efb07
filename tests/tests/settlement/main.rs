//! The settlement program on chain: channels, vouchers, batches, claims and earnings, in the built SBF binary.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

mod accounts;
mod claims;
mod delegated;
mod desk;
mod tables;
mod vouchers;
mod whole_path;
