//! Who pays: what the chain says about a channel, and how much of its room this worker has already used.

use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use waybill_protocol::{ChannelId, WalletId};

/// A channel as it stands on chain now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelFunds {
    pub gateway: WalletId,
    /// Open, not closing, and the gateway's grant has neither expired nor been revoked.
    pub grant_active: bool,
    /// Nano-credits the gateway could settle now: the lower of the grant's remaining room and what the balance buys.
    pub room_nc: u64,
    /// Orders up to this nonce are settled.
    pub last_settled_nonce: u64,
}

/// Why a channel's funds are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FundingError {
    #[error("there is no such channel on chain")]
    Unknown,
    #[error("the chain cannot be read: {0}")]
    Unavailable(String),
}

/// What the worker needs to know of the chain. Answers may be seconds old.
#[async_trait]
pub trait Funding: Send + Sync {
    async fn channel(&self, channel: &ChannelId) -> Result<ChannelFunds, FundingError>;
}

/// Why a channel does not back an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbacked {
    #[error("the channel belongs to another gateway")]
    OtherGateway,
    #[error("the channel's grant is not active")]
    NoGrant,
    #[error("this worker has already seen the order's nonce")]
    Replayed,
    #[error(
        "the channel has room for {room_nc} nc, of which {used_nc} nc are used here, but the order may cost {max_price_nc} nc"
    )]
    NoRoom { room_nc: u64, used_nc: u64, max_price_nc: u64 },
}

/// What this worker has at stake per channel: orders in work at their ceiling, served ones at their price until settled.
#[derive(Clone, Default)]
pub struct Tabs(Arc<Mutex<HashMap<ChannelId, Tab>>>);

#[derive(Default)]
struct Tab {
    /// Unsettled orders by nonce: nano-credits at stake, and their sum.
    at_stake: BTreeMap<u64, u64>,
    used_nc: u64,
    /// Nonces in work or served. The lowest are forgotten beyond `MAX_SEEN`; `floor` is the highest of those.
    seen: BTreeSet<u64>,
    floor: Option<u64>,
}

/// Nonces remembered per channel. Orders older than that many later ones are long past every deadline.
const MAX_SEEN: usize = 65_536;

impl Tab {
    fn put(&mut self, nonce: u64, nc: u64) {
        let before = self.at_stake.insert(nonce, nc).unwrap_or(0);
        self.used_nc = self.used_nc.saturating_sub(before).saturating_add(nc);
    }

    fn take(&mut self, nonce: u64) {
        let before = self.at_stake.remove(&nonce).unwrap_or(0);
        self.used_nc = self.used_nc.saturating_sub(before);
    }

    fn settle(&mut self, up_to: u64) {
        while let Some(entry) = self.at_stake.first_entry().filter(|entry| *entry.key() <= up_to) {
            self.used_nc = self.used_nc.saturating_sub(entry.remove());
        }
    }

    /// False when the nonce was seen before.
    fn see(&mut self, nonce: u64) -> bool {
        if self.floor.is_some_and(|floor| nonce <= floor) || !self.seen.insert(nonce) {
            return false;
        }
        if self.seen.len() > MAX_SEEN {
            self.floor = self.seen.pop_first();
        }
        true
    }
}

/// An order's place on its channel's tab. Dropping it gives the place back, so the order may be tried again.
pub struct Reservation {
    tabs: Tabs,
    channel: ChannelId,
    nonce: u64,
    is_served: bool,
}

impl Tabs {
    /// Puts an order on its channel's tab, if the channel backs it.
    pub fn reserve(
        &self,
        channel: ChannelId,
        nonce: u64,
        max_price_nc: u64,
        gateway: &WalletId,
        funds: &ChannelFunds,
    ) -> Result<Reservation, Unbacked> {
        if funds.gateway != *gateway {
            return Err(Unbacked::OtherGateway);
        }
        if !funds.grant_active {
            return Err(Unbacked::NoGrant);
        }
        let mut tabs = self.lock();
        let tab = tabs.entry(channel).or_default();
        tab.settle(funds.last_settled_nonce);
        let used_nc = tab.used_nc;
        if tab.seen.contains(&nonce) {
            return Err(Unbacked::Replayed);
        }
        if funds.room_nc < used_nc.saturating_add(max_price_nc) {
            return Err(Unbacked::NoRoom { room_nc: funds.room_nc, used_nc, max_price_nc });
        }
        if !tab.see(nonce) {
            return Err(Unbacked::Replayed);
        }
        tab.put(nonce, max_price_nc);
        Ok(Reservation { tabs: self.clone(), channel, nonce, is_served: false })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, Tab>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// The order was served for this price; its nonce is used up.
    pub fn served(mut self, price_nc: u64) {
        self.is_served = true;
        if let Some(tab) = self.tabs.lock().get_mut(&self.channel)
            && tab.at_stake.contains_key(&self.nonce)
        {
            tab.put(self.nonce, price_nc);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_served
            && let Some(tab) = self.tabs.lock().get_mut(&self.channel)
        {
            tab.take(self.nonce);
            tab.seen.remove(&self.nonce);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GATEWAY: WalletId = WalletId([1; 32]);
    const CHANNEL: ChannelId = ChannelId([2; 32]);

    fn funds(room_nc: u64, last_settled_nonce: u64) -> ChannelFunds {
        ChannelFunds { gateway: GATEWAY, grant_active: true, room_nc, last_settled_nonce }
    }

    fn reserve(tabs: &Tabs, nonce: u64, max: u64, funds: ChannelFunds) -> Result<Reservation, Unbacked> {
        tabs.reserve(CHANNEL, nonce, max, &GATEWAY, &funds)
    }

    #[test]
    fn work_in_progress_and_unsettled_work_use_up_the_room() {
        let tabs = Tabs::default();
        let first = reserve(&tabs, 1, 60, funds(100, 0)).unwrap();
        assert!(matches!(reserve(&tabs, 2, 60, funds(100, 0)), Err(Unbacked::NoRoom { used_nc: 60, .. })));
        first.served(30);
        reserve(&tabs, 2, 60, funds(100, 0)).unwrap().served(60);
        assert!(matches!(reserve(&tabs, 3, 20, funds(100, 0)), Err(Unbacked::NoRoom { used_nc: 90, .. })));
        // Both were settled: the chain's room is smaller, the tab is empty again.
        reserve(&tabs, 3, 10, funds(10, 2)).unwrap().served(10);
    }

    #[test]
    fn a_nonce_is_served_once() {
        let tabs = Tabs::default();
        let running = reserve(&tabs, 5, 10, funds(1_000, 0)).unwrap();
        assert_eq!(reserve(&tabs, 5, 10, funds(1_000, 0)).err(), Some(Unbacked::Replayed));
        drop(running);
        reserve(&tabs, 5, 10, funds(1_000, 0)).expect("a failed order may be tried again").served(10);
        assert_eq!(reserve(&tabs, 5, 10, funds(1_000, 0)).err(), Some(Unbacked::Replayed));
        assert_eq!(reserve(&tabs, 5, 10, funds(1_000, 7)).err(), Some(Unbacked::Replayed), "settled meanwhile");
        assert_eq!(reserve(&tabs, 5, 10, funds(1_000, 7)).err(), Some(Unbacked::Replayed), "and ever after");
    }

    #[test]
    fn only_the_channels_own_gateway_with_an_active_grant_is_served() {
        let tabs = Tabs::default();
        let foreign = tabs.reserve(CHANNEL, 1, 1, &WalletId([9; 32]), &funds(100, 0));
        assert_eq!(foreign.err(), Some(Unbacked::OtherGateway));
        let inactive = ChannelFunds { grant_active: false, ..funds(100, 0) };
        assert_eq!(reserve(&tabs, 1, 1, inactive).err(), Some(Unbacked::NoGrant));
    }
}
