//! The hub inside one process: the embedded default, and what tests compare the Redis hub with.

use super::{HOLDER_TTL, Hub, HubError, MAX_LIMIT};
use crate::ledger::{Clock, system_clock};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Shared {
    /// Last heartbeat in milliseconds.
    holders: HashMap<String, u64>,
    leases: HashMap<String, HashMap<String, u64>>,
}

impl Shared {
    /// Frees what dead holders left under a key, and returns the sum that is out.
    fn outstanding(&mut self, key: &str, now_ms: u64) -> u64 {
        let Some(leases) = self.leases.get_mut(key) else { return 0 };
        let holders = &self.holders;
        leases.retain(|holder, _| holders.get(holder).is_some_and(|seen| alive(*seen, now_ms)));
        let sum = leases.values().fold(0, |sum: u64, amount| sum.saturating_add(*amount));
        if leases.is_empty() {
            self.leases.remove(key);
        }
        sum
    }
}

fn alive(seen_ms: u64, now_ms: u64) -> bool {
    u128::from(now_ms.saturating_sub(seen_ms)) <= HOLDER_TTL.as_millis()
}

/// One holder's view of counters in this process.
#[derive(Clone)]
pub struct LocalHub {
    shared: Arc<Mutex<Shared>>,
    holder: String,
    clock: Clock,
}

impl LocalHub {
    pub fn new(holder: impl Into<String>) -> Self {
        Self::with_clock(holder, system_clock())
    }

    pub fn with_clock(holder: impl Into<String>, clock: Clock) -> Self {
        Self { shared: Arc::default(), holder: holder.into(), clock }
    }

    /// Another holder on the same counters.
    pub fn join(&self, holder: impl Into<String>) -> Self {
        Self { holder: holder.into(), ..self.clone() }
    }

    fn beat(&self) -> (MutexGuard<'_, Shared>, u64) {
        let now_ms = (self.clock)();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = shared.holders.insert(self.holder.clone(), now_ms);
        if seen.is_some_and(|seen| !alive(seen, now_ms)) {
            // It was taken for dead: what it held is free, whatever it believes.
            for leases in shared.leases.values_mut() {
                leases.remove(&self.holder);
            }
        }
        (shared, now_ms)
    }
}

#[async_trait::async_trait]
impl Hub for LocalHub {
    async fn lease(&self, key: &str, want: u64, limit: u64) -> Result<u64, HubError> {
        let (mut shared, now_ms) = self.beat();
        let free = limit.min(MAX_LIMIT).saturating_sub(shared.outstanding(key, now_ms));
        let granted = want.min(free);
        if granted > 0 {
            *shared.leases.entry(key.to_owned()).or_default().entry(self.holder.clone()).or_default() += granted;
        }
        Ok(granted)
    }

    async fn give_back(&self, key: &str, amount: u64) -> Result<(), HubError> {
        let (mut shared, now_ms) = self.beat();
        if let Some(held) = shared.leases.get_mut(key).and_then(|leases| leases.get_mut(&self.holder)) {
            *held = held.saturating_sub(amount);
        }
        if let Some(leases) = shared.leases.get_mut(key) {
            leases.retain(|_, held| *held > 0);
        }
        shared.outstanding(key, now_ms);
        Ok(())
    }

    async fn outstanding(&self, key: &str) -> Result<u64, HubError> {
        let now_ms = (self.clock)();
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(shared.outstanding(key, now_ms))
    }

    async fn heartbeat(&self) -> Result<(), HubError> {
        drop(self.beat());
        Ok(())
    }

    async fn healthy(&self) -> bool {
        true
    }
}
