//! Which requests carry the curator that their channel's grant names. A consumer is its curator's for thirty days from its
//! first paid request, whoever its grant names later; after that half of its requests carry the grant's curator, as long as
//! that curator brought no more than a fifth of what the container was charged lately. A request that carries none burns
//! the curator's share.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use waybill_protocol::{ChannelId, ContainerId, WalletId};
use waybill_store::{Referral, Store, StoreError};

const DAY_MS: u64 = 86_400_000;
/// How long a consumer is one curator's in full, and how far back a container's charges count.
const WINDOW_MS: u64 = 30 * DAY_MS;
/// A curator's largest part of a container: one in so many.
const CAP: u64 = 5;
/// How long what was read about a container is kept.
const SHARES_TTL: Duration = Duration::from_secs(60);
/// Consumers and containers kept in memory.
const CAPACITY: usize = 16_384;

/// One request, as far as its curator goes.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub channel: ChannelId,
    pub nonce: u64,
    pub consumer: WalletId,
    pub container: ContainerId,
    /// Whom the channel's grant names.
    pub named: WalletId,
    /// Unix milliseconds of the chain.
    pub now_ms: u64,
    /// Seconds.
    pub epoch_s: u32,
}

/// Charges of a container by curator.
type Shares = HashMap<WalletId, u64>;

/// The curators of one gateway's consumers.
pub struct Attribution {
    gateway: WalletId,
    store: Store,
    bound: Mutex<HashMap<WalletId, Referral>>,
    shares: Mutex<HashMap<ContainerId, (Instant, Shares)>>,
}

impl Attribution {
    pub fn new(gateway: WalletId, store: Store) -> Self {
        Self { gateway, store, bound: Mutex::default(), shares: Mutex::default() }
    }

    /// The curator that the request carries, or none.
    pub async fn curator(&self, asked: &Asked) -> Result<WalletId, StoreError> {
        if asked.named == WalletId::NONE {
            return Ok(WalletId::NONE);
        }
        let Some(referral) = self.referral(asked.consumer).await? else { return Ok(asked.named) };
        if asked.now_ms.saturating_sub(referral.bound_ms) < WINDOW_MS {
            return Ok(if referral.curator == asked.named { asked.named } else { WalletId::NONE });
        }
        let carried = carries(asked.channel, asked.nonce) && self.within_cap(asked).await?;
        Ok(if carried { asked.named } else { WalletId::NONE })
    }

    /// A request of the consumer was paid: the first one binds it to whom its grant named, or to nobody.
    pub async fn paid(&self, consumer: WalletId, named: WalletId, now_ms: u64) -> Result<(), StoreError> {
        if self.referral(consumer).await?.is_none() {
            let referral = Referral { curator: named, bound_ms: now_ms };
            let stored = self.store.bind_consumer(self.gateway, consumer, referral).await?;
            keep(&self.bound, consumer, stored);
        }
        Ok(())
    }

    async fn referral(&self, consumer: WalletId) -> Result<Option<Referral>, StoreError> {
        let known = self.bound.lock().unwrap_or_else(PoisonError::into_inner).get(&consumer).copied();
        if known.is_some() {
            return Ok(known);
        }
        let stored = self.store.referral(self.gateway, consumer).await?;
        if let Some(referral) = stored {
            keep(&self.bound, consumer, referral);
        }
        Ok(stored)
    }

    /// Whether the named curator brought at most a fifth of what the container was charged lately.
    async fn within_cap(&self, asked: &Asked) -> Result<bool, StoreError> {
        let fresh = {
            let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            let known = shares.get(&asked.container).filter(|(at, _)| at.elapsed() < SHARES_TTL);
            known.map(|(_, shares)| within(shares, asked.named))
        };
        if let Some(within) = fresh {
            return Ok(within);
        }
        let from = asked.now_ms.saturating_sub(WINDOW_MS) / 1_000 / u64::from(asked.epoch_s.max(1));
        let from = u32::try_from(from).unwrap_or(u32::MAX);
        let shares = self.store.curator_shares(self.gateway, asked.container, from).await?;
        let answer = within(&shares, asked.named);
        keep(&self.shares, asked.container, (Instant::now(), shares));
        Ok(answer)
    }
}

/// Whether a request of a consumer that came long ago carries its curator: every second one, by a hash that neither the
/// consumer nor the curator chooses and anyone can compute again.
fn carries(channel: ChannelId, nonce: u64) -> bool {
    let hash =
        Sha256::new().chain_update("AI-REF").chain_update(channel.0).chain_update(nonce.to_le_bytes()).finalize();
    hash[0] & 1 == 1
}

fn within(shares: &Shares, curator: WalletId) -> bool {
    let total: u64 = shares.values().fold(0, |sum, nc| sum.saturating_add(*nc));
    shares.get(&curator).is_none_or(|nc| *nc <= total / CAP)
}

fn keep<K: std::hash::Hash + Eq, V>(map: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= CAPACITY {
        map.clear();
    }
    map.insert(key, value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GATEWAY: WalletId = WalletId([1; 32]);
    const CONSUMER: WalletId = WalletId([2; 32]);
    const FIRST: WalletId = WalletId([3; 32]);
    const SECOND: WalletId = WalletId([4; 32]);
    const START_MS: u64 = 1_790_000_000_000;

    async fn attribution() -> (tempfile::TempDir, Attribution) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("store.db").display());
        (folder, Attribution::new(GATEWAY, Store::open(&url).await.unwrap()))
    }

    fn asked(named: WalletId, nonce: u64, now_ms: u64) -> Asked {
        let (channel, container) = (ChannelId([5; 32]), ContainerId([6; 32]));
        Asked { channel, nonce, consumer: CONSUMER, container, named, now_ms, epoch_s: 60 }
    }

    #[tokio::test]
    async fn the_first_paid_request_binds_a_consumer_for_thirty_days() {
        let (_folder, attribution) = attribution().await;
        let curator = async |named, nonce, now_ms| attribution.curator(&asked(named, nonce, now_ms)).await.unwrap();
        // Until something is paid, nothing is bound.
        assert_eq!(curator(SECOND, 1, START_MS).await, SECOND);
        attribution.paid(CONSUMER, FIRST, START_MS).await.unwrap();
        attribution.paid(CONSUMER, SECOND, START_MS + 1).await.unwrap();
        for nonce in 2..50 {
            assert_eq!(curator(FIRST, nonce, START_MS + WINDOW_MS - 1).await, FIRST);
            assert_eq!(curator(SECOND, nonce, START_MS + WINDOW_MS - 1).await, WalletId::NONE);
            assert_eq!(curator(WalletId::NONE, nonce, START_MS).await, WalletId::NONE);
        }
        // A restarted gateway knows it too.
        let again = Attribution::new(GATEWAY, attribution.store.clone());
        assert_eq!(again.curator(&asked(SECOND, 2, START_MS)).await.unwrap(), WalletId::NONE);
    }

    #[tokio::test]
    async fn after_thirty_days_half_of_the_requests_carry_a_curator() {
        let (_folder, attribution) = attribution().await;
        attribution.paid(CONSUMER, FIRST, START_MS).await.unwrap();
        let mut carried = 0;
        for nonce in 0..1_000 {
            let curator = attribution.curator(&asked(FIRST, nonce, START_MS + WINDOW_MS)).await.unwrap();
            carried += u32::from(curator == FIRST);
        }
        assert!((440..=560).contains(&carried), "{carried} of 1,000");
    }

    #[tokio::test]
    async fn who_came_by_itself_is_nobodys_for_thirty_days() {
        let (_folder, attribution) = attribution().await;
        attribution.paid(CONSUMER, WalletId::NONE, START_MS).await.unwrap();
        let curator = attribution.curator(&asked(FIRST, 1, START_MS + WINDOW_MS - 1)).await.unwrap();
        assert_eq!(curator, WalletId::NONE);
    }

    #[test]
    fn a_curators_part_of_a_container_ends_at_a_fifth() {
        let shares = |mine| Shares::from([(FIRST, mine), (SECOND, 300), (WalletId::NONE, 500)]);
        assert!(within(&shares(200), FIRST));
        assert!(!within(&shares(201), FIRST));
        assert!(within(&Shares::new(), FIRST));
        assert!(!within(&Shares::from([(FIRST, u64::MAX), (SECOND, u64::MAX)]), FIRST));
    }
}
