//! Credit of channels: reserve → settle or release. Spendable credit is leased from the shared hub in slices, so that a
//! request usually costs one lock; whatever ends a request, dropping its reservation ends the claim on credit.

use crate::market::{ChannelView, Market};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::{Hub, HubError, Ledger, LedgerError, Store, StoreError};

/// A slice is this part of what the channel may still spend, or the request's own amount when that is more.
const SLICE_PART: u64 = 20;
/// Nonces taken from the ledger at a time.
const NONCE_BLOCK: u32 = 512;
/// How often a reservation tries again when others took the slice it just leased.
const ATTEMPTS: usize = 16;

/// Why nothing was reserved.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    #[error("the channel {0} is not open towards this gateway")]
    NoChannel(ChannelId),
    /// The grant or the balance does not cover the request.
    #[error("the request may cost {wanted_nc} nc and {free_nc} nc are free")]
    Insufficient { wanted_nc: u64, free_nc: u64 },
    /// The API key's own limit does not cover the request.
    #[error("the request may cost {wanted_nc} nc, which is over the API key's limit")]
    KeyLimit { wanted_nc: u64 },
    /// Other requests of the channel took every slice that this one leased. There may be plenty of credit.
    #[error("too many requests of this channel reserve credit at once")]
    Contended,
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the gateway is stopping")]
    Stopped,
}

/// What an API key may spend of its channel, and did.
#[derive(Debug, Default)]
pub struct KeyBudget {
    state: Mutex<KeySpending>,
}

#[derive(Debug, Default)]
struct KeySpending {
    limit_nc: Option<u64>,
    charged_nc: u64,
    reserved_nc: u64,
}

impl KeyBudget {
    /// Takes over what the database knows; charges committed since it was read stay counted.
    pub fn refresh(&self, limit_nc: Option<u64>, charged_nc: u64) {
        let mut state = lock(&self.state);
        state.limit_nc = limit_nc;
        state.charged_nc = state.charged_nc.max(charged_nc);
    }

    fn reserve(&self, amount: u64) -> bool {
        let mut state = lock(&self.state);
        let after = state.charged_nc.saturating_add(state.reserved_nc).saturating_add(amount);
        let fits = state.limit_nc.is_none_or(|limit| after <= limit);
        if fits {
            state.reserved_nc += amount;
        }
        fits
    }

    fn end(&self, reserved: u64, charged: u64) {
        let mut state = lock(&self.state);
        state.reserved_nc = state.reserved_nc.saturating_sub(reserved);
        state.charged_nc = state.charged_nc.saturating_add(charged);
    }
}

/// This process's part of a channel's credit, in nano-credits.
#[derive(Debug, Default)]
struct Slice {
    /// Held at the hub.
    leased: u64,
    /// Of that: claimed by open reservations.
    reserved: u64,
    /// Of that: charged, to be given back to the hub (the channel's running charge counts it now).
    spent: u64,
    /// The channel's running charge, as last heard.
    charged: u64,
    /// Nonces this process may use: `[next, until)`.
    next_nonce: u64,
    until_nonce: u64,
    used: Option<Instant>,
}

impl Slice {
    fn free(&self) -> u64 {
        self.leased.saturating_sub(self.reserved).saturating_sub(self.spent)
    }
}

/// One channel's account in this process.
struct Account {
    channel: ChannelId,
    slice: Mutex<Slice>,
    /// One refill at a time: those who wait find what the first one brought. Held across the hub's and the ledger's
    /// answers, and only by refills.
    refill: tokio::sync::Mutex<()>,
}

impl Account {
    fn slice(&self) -> MutexGuard<'_, Slice> {
        lock(&self.slice)
    }

    fn hub_key(&self) -> String {
        format!("credit:{}", self.channel)
    }
}

/// All channels' accounts.
pub struct Credit {
    gateway: WalletId,
    market: Arc<dyn Market>,
    store: Store,
    ledger: Ledger,
    hub: Arc<dyn Hub>,
    tasks: TaskTracker,
    accounts: Mutex<HashMap<ChannelId, Arc<Account>>>,
}

/// A claim on credit for one request, with the nonce its order uses. Open until it is settled; dropped unsettled it is
/// abandoned: the credit is free again and the nonce is void.
#[must_use = "dropping a reservation releases it"]
pub struct Reservation {
    credit: Arc<Credit>,
    account: Arc<Account>,
    key: Arc<KeyBudget>,
    amount_nc: u64,
    nonce: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Charged with so many nano-credits, or given up for a reason.
    Settled(u64),
    Abandoned(&'static str),
}

impl Credit {
    pub fn new(
        gateway: WalletId,
        market: Arc<dyn Market>,
        store: Store,
        ledger: Ledger,
        hub: Arc<dyn Hub>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self { gateway, market, store, ledger, hub, tasks, accounts: Mutex::default() })
    }

    /// Claims `amount_nc` of the channel's free credit and the next nonce.
    pub async fn reserve(
        self: &Arc<Self>,
        channel: ChannelId,
        key: &Arc<KeyBudget>,
        amount_nc: u64,
    ) -> Result<Reservation, CreditError> {
        let account = lock(&self.accounts)
            .entry(channel)
            .or_insert_with(|| {
                Arc::new(Account { channel, slice: Mutex::default(), refill: tokio::sync::Mutex::default() })
            })
            .clone();
        for _ in 0..ATTEMPTS {
            let view = self.view(channel)?;
            if !key.reserve(amount_nc) {
                return Err(CreditError::KeyLimit { wanted_nc: amount_nc });
            }
            if let Some(nonce) = self.take(&account, &view, amount_nc) {
                metrics::gauge!("waybill_reserved_nc").increment(amount_nc as f64);
                let credit = self.clone();
                return Ok(Reservation { credit, account, key: key.clone(), amount_nc, nonce, state: State::Open });
            }
            key.end(amount_nc, 0);
            // In a task of its own: a consumer that leaves must not take a granted lease with it.
            let (credit, account) = (self.clone(), account.clone());
            let refill = self.tasks.spawn(async move { credit.refill(&account, &view, amount_nc).await });
            refill.await.map_err(|_| CreditError::Stopped)??;
        }
        Err(CreditError::Contended)
    }

    /// Σ open reservations of all channels.
    pub fn reserved_nc(&self) -> u64 {
        self.all().iter().map(|account| account.slice().reserved).sum()
    }

    /// What a channel may still spend beyond everything charged and reserved here, and its running charge.
    pub async fn standing(&self, channel: ChannelId) -> Result<(u64, u64), CreditError> {
        let view = self.view(channel)?;
        let charged = self.store.channel(channel).await?.map_or(0, |row| row.charged_nc);
        let outstanding = self.hub.outstanding(&format!("credit:{channel}")).await?;
        Ok((self.limit(&view, charged).saturating_sub(outstanding), charged))
    }

    /// Gives back what channels unused for `idle` hold, and keeps the rest alive at the hub.
    pub async fn tidy(&self, idle: Duration) {
        if let Err(error) = self.hub.heartbeat().await {
            tracing::warn!(%error, "the hub took no heartbeat");
        }
        for account in self.all() {
            // A refill in progress means the channel is in use.
            let Ok(_refill) = account.refill.try_lock() else { continue };
            let (free, nonces) = {
                let mut slice = account.slice();
                let used = slice.used.is_some_and(|used| used.elapsed() < idle);
                let free = if used { slice.spent } else { slice.leased.saturating_sub(slice.reserved) };
                let nonces = if used { 0..0 } else { slice.next_nonce..slice.until_nonce };
                slice.leased -= free.min(slice.leased);
                slice.spent = 0;
                if !used {
                    slice.next_nonce = slice.until_nonce;
                }
                (free, nonces)
            };
            if let Err(error) = self.give_back(&account, free).await {
                tracing::warn!(%error, "credit was not given back to the hub; it returns when this process ends");
            }
            // Together, so that the ledger commits them together.
            let voids = join_all(nonces.map(|nonce| self.ledger.void(account.channel, nonce))).await;
            if let Some(error) = voids.into_iter().find_map(Result::err) {
                tracing::warn!(%error, "unused nonces were not voided; their lease expires");
            }
        }
        let mut accounts = lock(&self.accounts);
        accounts.retain(|_, account| {
            let slice = account.slice();
            Arc::strong_count(account) > 1 || slice.leased > 0 || slice.used.is_some_and(|used| used.elapsed() < idle)
        });
    }

    fn all(&self) -> Vec<Arc<Account>> {
        lock(&self.accounts).values().cloned().collect()
    }

    fn view(&self, channel: ChannelId) -> Result<ChannelView, CreditError> {
        self.market.channel(&channel).filter(|view| view.gateway == self.gateway).ok_or(CreditError::NoChannel(channel))
    }

    /// What may be charged and reserved together beyond `charged`.
    fn limit(&self, view: &ChannelView, charged: u64) -> u64 {
        let now = i64::try_from(self.market.now_ms() / 1000).unwrap_or(i64::MAX);
        view.room(self.market.rate(), now).saturating_sub(charged.saturating_sub(view.settled_nc))
    }

    /// The usual case: the slice has room, the chain still allows it, a nonce is at hand.
    fn take(&self, account: &Account, view: &ChannelView, amount: u64) -> Option<u64> {
        let mut slice = account.slice();
        slice.used = Some(Instant::now());
        let allowed = self.limit(view, slice.charged) >= slice.reserved.saturating_add(amount);
        if !allowed || slice.free() < amount || slice.next_nonce >= slice.until_nonce {
            return None;
        }
        slice.reserved += amount;
        slice.next_nonce += 1;
        Some(slice.next_nonce - 1)
    }

    /// Brings credit and nonces for a request of `amount`, where the slice lacks them.
    async fn refill(&self, account: &Account, view: &ChannelView, amount: u64) -> Result<(), CreditError> {
        let _one_at_a_time = account.refill.lock().await;
        let (spent, has_nonce) = {
            let slice = account.slice();
            (slice.spent, slice.next_nonce < slice.until_nonce)
        };
        // What is charged counts in the running total, so its lease goes back before new credit is asked for.
        self.give_back(account, spent).await?;
        {
            let mut slice = account.slice();
            slice.leased -= spent.min(slice.leased);
            slice.spent -= spent.min(slice.spent);
        }
        let row = self.store.ensure_channel(account.channel, view.consumer, view.gateway).await?;
        let limit = self.limit(view, row.charged_nc);
        let (free, reserved) = {
            let mut slice = account.slice();
            slice.charged = slice.charged.max(row.charged_nc);
            (slice.free(), slice.reserved)
        };
        if limit < reserved.saturating_add(amount) {
            return Err(CreditError::Insufficient { wanted_nc: amount, free_nc: limit.saturating_sub(reserved) });
        }
        if free < amount {
            let want = (amount - free).max(limit / SLICE_PART);
            let granted = self.hub.lease(&account.hub_key(), want, limit).await?;
            account.slice().leased += granted;
            if free + granted < amount {
                return Err(CreditError::Insufficient { wanted_nc: amount, free_nc: free + granted });
            }
        }
        if !has_nonce {
            let block = self.ledger.reserve_nonces(account.channel, NONCE_BLOCK).await?;
            let mut slice = account.slice();
            (slice.next_nonce, slice.until_nonce) = (block.nonces.start, block.nonces.end);
        }
        Ok(())
    }

    async fn give_back(&self, account: &Account, amount: u64) -> Result<(), HubError> {
        if amount > 0 { self.hub.give_back(&account.hub_key(), amount).await } else { Ok(()) }
    }
}

impl Reservation {
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    pub fn amount_nc(&self) -> u64 {
        self.amount_nc
    }

    /// The charge is committed: `charged_nc` is the channel's running charge with it.
    pub fn settle(mut self, price_nc: u64, charged_nc: u64) {
        self.state = State::Settled(price_nc);
        let mut slice = self.account.slice();
        slice.charged = slice.charged.max(charged_nc);
    }

    /// Ends it without a charge; dropping does the same and counts as the consumer having gone.
    pub fn abandon(mut self, reason: &'static str) {
        self.state = State::Abandoned(reason);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let charged = match self.state {
            State::Settled(price) => price,
            State::Open | State::Abandoned(_) => 0,
        };
        {
            let mut slice = self.account.slice();
            slice.reserved = slice.reserved.saturating_sub(self.amount_nc);
            slice.spent = slice.spent.saturating_add(charged);
        }
        self.key.end(self.amount_nc, charged);
        metrics::gauge!("waybill_reserved_nc").decrement(self.amount_nc as f64);
        let reason = match self.state {
            State::Settled(price) => {
                metrics::counter!("waybill_settled_nc_total").increment(price);
                return;
            }
            State::Open => "consumer_gone",
            State::Abandoned(reason) => reason,
        };
        metrics::counter!("waybill_abandoned_total", "reason" => reason).increment(1);
        let (ledger, channel, nonce) = (self.credit.ledger.clone(), self.account.channel, self.nonce);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let void = async move {
                if let Err(error) = ledger.void(channel, nonce).await {
                    tracing::warn!(%error, "a nonce was not voided; its lease expires");
                }
            };
            self.credit.tasks.spawn_on(void, &runtime);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section leaves the counters consistent, also where it panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
