//! The settlement program on chain: channels, vouchers, batches, claims and earnings, in the built SBF binary.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

mod accounts;
mod bounties;
mod campaigns;
mod claims;
mod curators;
mod decoders;
mod delegated;
mod desk;
mod differential;
mod lineage;
mod promo;
mod random_walk;
mod releases;
mod vouchers;
mod whole_path;
mod withdrawals;
