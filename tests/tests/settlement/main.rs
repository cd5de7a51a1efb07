//! The settlement program on chain: channels, vouchers, batches, claims and earnings, in the built SBF binary.
#![allow(clippy::unwrap_used, clippy::result_large_err)]

mod accounts;
mod audits;
mod bounties;
mod campaigns;
mod claims;
mod court;
mod curators;
mod decoders;
mod delegated;
mod desk;
mod differential;
mod disputes_consumer;
mod disputes_fictitious;
mod disputes_order;
mod disputes_price;
mod disputes_worker;
mod hearing;
mod lineage;
mod promo;
mod random_walk;
mod releases;
mod tables;
mod vouchers;
mod whole_path;
mod withdrawals;
