//! The mechanism of Waybill: message bytes, Merkle-sum trees and every amount, in checked integer arithmetic.
//! Programs on chain and services off chain call the same functions, so they cannot disagree about a bit or a coin.
//! Amounts are nano-credits (`_nc`, 1e-9 USD) or AIC base units (`_aic`), shares are basis points (`_bps`).
#![no_std]

extern crate alloc;

pub mod amount;
pub mod ask;
pub mod audit;
pub mod batch;
pub mod breaker;
pub mod channel;
pub mod clearing;
pub mod dispute;
pub mod lineage;
pub mod merkle;
pub mod message;
pub mod pacing;
pub mod precompile;
pub mod promo;
pub mod release;
pub mod routing;
pub mod slash;
pub mod stack;
pub mod vcg;
