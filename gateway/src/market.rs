//! What the gateway reads from the chain, as a narrow trait: every answer comes from memory, never from RPC.

use crate::routes::Class;
use serde::Serialize;
use waybill_mechanism::amount;
use waybill_protocol::{ArtifactId, ChannelId, ContainerId, WalletId, WorkerId};

/// Share of a channel's balance that new work may use: the rest covers a rate that rises before settlement.
const BALANCE_PERCENT: u64 = 90;

/// The deployment's constants, set at genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// In every signed message.
    pub domain: [u8; 8],
    /// Length of a settlement epoch in seconds, at least 1.
    pub epoch_s: u32,
}

/// What a model can be asked for; the numbers are those of a container's stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    Chat,
    Embedding,
}

/// A stage's frozen price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// Nano-credits per 1,000 billable units.
    pub per_1k: u64,
    /// The pricing epoch it holds for.
    pub pricing_epoch: u32,
    /// The following pricing epoch's price where it is already frozen.
    pub next_per_1k: Option<u64>,
}

/// A container that consumers can name as `model`, with the stage that answers and its frozen price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub name: String,
    pub kind: ModelKind,
    pub container: ContainerId,
    pub stage: u8,
    pub artifact: ArtifactId,
    /// None while nobody has frozen a price for the current pricing epoch: the model cannot be sold then.
    pub quote: Option<Quote>,
    /// Longest input and output together in tokens, where it is known.
    pub context: Option<u32>,
    /// Unix seconds; 0 when unknown.
    pub created: u64,
    /// Who sells it: the vendor's or weaver's wallet, as text.
    pub owned_by: String,
}

/// A spending limit that a channel grants its gateway (mechanism §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Nano-credits per period; 0 = no grant.
    pub limit_nc: u64,
    /// Seconds.
    pub period_s: u32,
    /// Unix seconds.
    pub expires: i64,
    /// Curator of all requests of this grant, or none.
    pub referrer: WalletId,
    /// Unix seconds.
    pub period_start: i64,
    /// Settled in the period that began at `period_start`.
    pub used_nc: u64,
}

impl Grant {
    /// What may still be settled in the period that contains `now` (unix seconds); 0 when the grant has ended.
    pub fn room(&self, now: i64) -> u64 {
        if self.limit_nc == 0 || now >= self.expires {
            return 0;
        }
        let refilled = now.saturating_sub(self.period_start) >= i64::from(self.period_s);
        let used = if refilled { 0 } else { self.used_nc };
        self.limit_nc.saturating_sub(used)
    }
}

/// A channel account as last seen on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelView {
    pub consumer: WalletId,
    pub gateway: WalletId,
    /// AIC base units.
    pub balance_aic: u64,
    pub settled_nc: u64,
    pub grant: Option<Grant>,
    /// The consumer asked to close it: no new work.
    pub closing: bool,
}

impl ChannelView {
    /// The most that may be reserved and charged beyond what is settled, in nano-credits, before counting what is
    /// charged and unsettled: `min(grant room, 90 % of the balance at `rate`)`.
    pub fn room(&self, rate: u64, now: i64) -> u64 {
        let granted = self.grant.filter(|_| !self.closing).map_or(0, |grant| grant.room(now));
        let affordable = amount::affordable_nc(self.balance_aic, rate).unwrap_or(0);
        granted.min(amount::mul_div_floor(affordable, BALANCE_PERCENT, 100).unwrap_or(0))
    }
}

/// A worker's registration on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    pub det_class: u16,
}

/// A promotion slot that a container holds now and whose campaign can pay for another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// 1, 2 or 3.
    pub position: u8,
    /// Who pays.
    pub payer: WalletId,
    pub container: ContainerId,
    /// Account of the auction; a request through the slot names it.
    pub auction: WalletId,
}

pub trait Market: Send + Sync {
    fn network(&self) -> Network;
    /// The model with this name.
    fn model(&self, name: &str) -> Option<Model>;
    /// All of them, by name.
    fn models(&self) -> Vec<Model>;
    /// The promotion slots of today.
    fn placements(&self) -> Vec<Placement> {
        Vec::new()
    }
    /// The class with this name, such as `auto/chat`.
    fn class(&self, _name: &str) -> Option<Class> {
        None
    }
    fn channel(&self, id: &ChannelId) -> Option<ChannelView>;
    /// A registered, unexpired and unrevoked worker.
    fn node(&self, worker: &WorkerId) -> Option<Node>;
    /// AIC base units per 1e9 nano-credits; 0 while no rate is known.
    fn rate(&self) -> u64;
    /// The chain's time in Unix milliseconds: epochs, prices and grants are reckoned in it.
    fn now_ms(&self) -> u64;
    /// False while the view is older than it may be, because the RPC endpoint does not answer.
    fn healthy(&self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            limit_nc: 100,
            period_s: 3600,
            expires: 10_000,
            referrer: WalletId::NONE,
            period_start: 1000,
            used_nc: 60,
        }
    }

    #[test]
    fn a_grant_refills_at_its_boundary_and_ends_at_its_expiry() {
        assert_eq!(grant().room(1000), 40);
        assert_eq!(grant().room(4599), 40);
        assert_eq!(grant().room(4600), 100);
        assert_eq!(grant().room(9999), 100);
        assert_eq!(grant().room(10_000), 0);
        assert_eq!(Grant { limit_nc: 0, ..grant() }.room(1000), 0);
    }

    #[test]
    fn room_is_the_smaller_of_grant_and_nine_tenths_of_the_balance() {
        let view = ChannelView {
            consumer: WalletId::NONE,
            gateway: WalletId::NONE,
            balance_aic: 100,
            settled_nc: 0,
            grant: Some(grant()),
            closing: false,
        };
        // at 1 AIC unit per nc the balance affords 100 nc
        assert_eq!(view.room(1_000_000_000, 1000), 40);
        assert_eq!(view.room(1_000_000_000, 4600), 90);
        assert_eq!(view.room(0, 1000), 0);
        assert_eq!(ChannelView { closing: true, ..view.clone() }.room(1_000_000_000, 1000), 0);
        assert_eq!(ChannelView { grant: None, ..view }.room(1_000_000_000, 1000), 0);
    }
}
