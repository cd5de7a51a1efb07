//! Who calls: API keys from the database behind a short cache, and how many requests each may have open.

use crate::credit::KeyBudget;
use crate::error::{ApiError, Kind};
use crate::keys::{SecretKey, same_hash};
use crate::state::App;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header::AUTHORIZATION};
use axum::middleware::Next;
use axum::response::Response;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waybill_protocol::ChannelId;
use waybill_store::{Store, StoreError};

/// A verified key while it is cached.
#[derive(Debug)]
pub struct Key {
    pub public_id: String,
    pub channel: ChannelId,
    pub budget: Arc<KeyBudget>,
    open: Arc<Semaphore>,
}

/// The key of one request and its place among that key's open requests, which ends with the last clone.
#[derive(Debug, Clone)]
pub struct Caller {
    pub key: Arc<Key>,
    _place: Arc<OwnedSemaphorePermit>,
}

/// Verdicts about keys, also negative ones, by the hash of the whole secret: a wrong secret never meets the right one's entry.
pub struct KeyCache {
    verdicts: Mutex<HashMap<[u8; 32], Verdict>>,
    ttl: Duration,
    capacity: usize,
    open_per_key: usize,
}

struct Verdict {
    key: Option<Arc<Key>>,
    at: Instant,
}

impl KeyCache {
    pub fn new(ttl: Duration, capacity: usize, open_per_key: usize) -> Self {
        Self { verdicts: Mutex::default(), ttl, capacity: capacity.max(1), open_per_key }
    }

    /// The key behind a secret, or none. Asks the database at most once per key and lifetime of a verdict.
    pub async fn find(
        &self,
        store: &Store,
        secret: &SecretKey,
        hash: [u8; 32],
    ) -> Result<Option<Arc<Key>>, StoreError> {
        let known = match self.lookup(&hash) {
            (Some(verdict), true) => return Ok(verdict),
            (known, _) => known.flatten(),
        };
        let row = store
            .api_key(&secret.public_id)
            .await?
            .filter(|row| row.revoked_ms.is_none() && same_hash(&row.hash, &hash));
        let key = row.map(|row| {
            // The old entry's counters go on: requests are open on them.
            let key = known.filter(|key| key.channel == row.channel).unwrap_or_else(|| {
                let open = Arc::new(Semaphore::new(self.open_per_key));
                Arc::new(Key { public_id: row.public_id, channel: row.channel, budget: Arc::default(), open })
            });
            key.budget.refresh(row.limit_nc, row.charged_nc);
            key
        });
        self.keep(hash, key.clone());
        Ok(key)
    }

    /// What is known about a hash, and whether that is still fresh.
    fn lookup(&self, hash: &[u8; 32]) -> (Option<Option<Arc<Key>>>, bool) {
        let verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        match verdicts.get(hash) {
            Some(verdict) => (Some(verdict.key.clone()), verdict.at.elapsed() < self.ttl),
            None => (None, false),
        }
    }

    fn keep(&self, hash: [u8; 32], key: Option<Arc<Key>>) {
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        if verdicts.len() >= self.capacity {
            verdicts.retain(|_, verdict| verdict.at.elapsed() < self.ttl);
        }
        if verdicts.len() >= self.capacity {
            // A flood of wrong keys: known keys stay.
            verdicts.retain(|_, verdict| verdict.key.is_some());
        }
        if verdicts.len() < self.capacity {
            verdicts.insert(hash, Verdict { key, at: Instant::now() });
        }
    }
}

/// Lets a request through with its [`Caller`], or answers for it.
pub async fn require_key(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let secret = bearer(request.headers())?;
    let hash = secret.hash(&app.config.pepper);
    let found = app.keys.find(&app.store, &secret, hash).await.map_err(ApiError::unavailable)?;
    let key = found.ok_or_else(|| ApiError::new(Kind::InvalidKey, "Incorrect API key provided."))?;
    let place = key.open.clone().try_acquire_owned().map_err(|_| {
        metrics::counter!("waybill_shed_total", "reason" => "key_concurrency").increment(1);
        ApiError::new(Kind::RateLimited, "Too many requests of this API key at a time, please try again.")
    })?;
    request.extensions_mut().insert(Caller { key, _place: Arc::new(place) });
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Result<SecretKey, ApiError> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        let message =
            "You didn't provide an API key. Provide it in an Authorization header: 'Authorization: Bearer YOUR_KEY'.";
        return Err(ApiError::new(Kind::InvalidKey, message));
    };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .and_then(SecretKey::parse)
        .ok_or_else(|| ApiError::new(Kind::InvalidKey, "Incorrect API key provided: keys look like sk-wb-… ."))
}
