//! The ledger: one task per gateway process that turns many charges into one transaction (group commit). A caller is
//! answered after the commit, never before; what is refused is refused alone, and a database failure is never Ok.

mod book;
mod charge;
mod rows;

pub use charge::Charge;
pub(crate) use rows::lock_gateway;

use crate::{Store, StoreError};
use book::Book;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use waybill_mechanism::message::{ChargeNote, Domain, Receipt};
use waybill_protocol::{ChannelId, WalletId};

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// How long a charge waits in here for the receipt before its own in their line. Requests of one worker end in the order of
/// their receipts and reach the ledger in almost that order: a caller that had to ask again later would hold up all that
/// follow it.
const LINE_HOLD: Duration = Duration::from_millis(100);

/// How a ledger runs.
#[derive(Clone)]
pub struct LedgerConfig {
    /// The gateway key that all charges of this ledger name.
    pub gateway: WalletId,
    /// Names this process as the holder of nonce leases: unique per start, or a restarted process would mistake the
    /// leftovers of the crashed one for its own.
    pub holder: String,
    /// Calls that may wait; beyond it callers wait for a place.
    pub queue: usize,
    /// Most calls in one transaction.
    pub max_batch: usize,
    /// Nonce leases of a holder that did not renew for this long are void. Renewed every quarter of it.
    pub lease_ttl: Duration,
    /// A transaction that takes longer has failed.
    pub commit_timeout: Duration,
    pub clock: Clock,
}

impl LedgerConfig {
    pub fn new(gateway: WalletId, holder: impl Into<String>) -> Self {
        Self {
            gateway,
            holder: holder.into(),
            queue: 1024,
            max_batch: 256,
            lease_ttl: Duration::from_secs(120),
            commit_timeout: Duration::from_secs(10),
            clock: system_clock(),
        }
    }
}

/// Why a call was refused or could not be answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    #[error("malformed charge: {0}")]
    Malformed(String),
    #[error("channel {0} is unknown")]
    UnknownChannel(ChannelId),
    #[error("this ledger books gateway {expected}, not {found}")]
    WrongGateway { expected: WalletId, found: WalletId },
    #[error("epoch {0} is closed")]
    EpochClosed(u32),
    #[error(
        "receipt (seq {seq}, cum {cum_nc} nc) does not continue its line, which expects seq {expected_seq} after {line_cum_nc} nc"
    )]
    Discontinuous { seq: u64, cum_nc: u64, expected_seq: u64, line_cum_nc: u64 },
    #[error("{0} was charged with other bytes")]
    Conflict(String),
    #[error("nonce {0} is void")]
    NonceVoid(u64),
    #[error("nonce {0} was never leased")]
    NonceNotLeased(u64),
    #[error("nonce {0} is already charged")]
    NonceCharged(u64),
    #[error("a running total would exceed the store's range")]
    Overflow,
    /// Nothing is known to be stored: make the same call again.
    #[error("the ledger's database failed: {0}")]
    Database(Arc<StoreError>),
    /// Nothing is known to be stored: make the same call again on a running ledger.
    #[error("the ledger has stopped")]
    Stopped,
}

/// A note that may now be signed and given to the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuableNote {
    pub channel: ChannelId,
    pub nonce: u64,
    pub charge_nc: u64,
    /// Σ charges of nonces up to and including this one.
    pub cum_charged_nc: u64,
}

impl IssuableNote {
    /// The message to sign and pass to [`Store::store_notes`].
    pub fn to_note(&self, domain: Domain) -> ChargeNote {
        ChargeNote {
            domain,
            channel: self.channel.0,
            nonce: self.nonce,
            charge_nc: self.charge_nc,
            cum_charged_nc: self.cum_charged_nc,
        }
    }
}

/// Answer to a committed charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// Σ of all charges of the channel, this one included.
    pub charged_nc: u64,
    /// Notes that became issuable with this charge, in nonce order. Of a replay: the channel's notes that are still unsigned.
    pub notes: Vec<IssuableNote>,
    /// True when exactly this charge was already stored and nothing changed.
    pub replayed: bool,
}

/// Nonces that only this process may use, and notes that became issuable because leftovers of others turned void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NonceBlock {
    pub nonces: Range<u64>,
    pub notes: Vec<IssuableNote>,
}

/// Whose nonce leases to void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leases {
    Own,
    Others,
    Expired,
}

enum Call {
    Charge(Box<Parsed>),
    Void { channel: ChannelId, nonce: u64 },
    Reserve { channel: ChannelId, count: u32 },
    Release(Leases),
}

/// A charge with its receipt's fields, checked against each other.
struct Parsed {
    charge: Charge,
    receipt: Receipt,
}

enum Answer {
    Charged(Charged),
    Notes(Vec<IssuableNote>),
    Block(NonceBlock),
}

struct Entry {
    call: Call,
    reply: oneshot::Sender<Result<Answer, LedgerError>>,
    since: Instant,
}

impl Entry {
    /// Epoch, line and place in it, of a charge.
    fn place(&self) -> Option<(u32, [u8; 32], u32)> {
        match &self.call {
            Call::Charge(parsed) => Some((parsed.receipt.epoch, parsed.receipt.line_key, parsed.receipt.seq)),
            _ => None,
        }
    }
}

/// Puts charges of one line in the order of their receipts; every other call keeps its place.
fn in_line_order(batch: Vec<Entry>) -> Vec<Entry> {
    let is_charge: Vec<bool> = batch.iter().map(|entry| entry.place().is_some()).collect();
    let (mut charges, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(|entry| entry.place().is_some());
    charges.sort_by_key(Entry::place);
    let (mut charges, mut others) = (charges.into_iter(), others.into_iter());
    is_charge.into_iter().filter_map(|charge| if charge { charges.next() } else { others.next() }).collect()
}

/// Handle to the ledger's task; cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    calls: mpsc::Sender<Entry>,
    gateway: WalletId,
}

impl Ledger {
    /// Starts the task. When `shutdown` fires it commits everything queued, voids its unused nonces and ends; the handle
    /// tells when.
    pub fn start(store: Store, config: LedgerConfig, shutdown: CancellationToken) -> (Self, JoinHandle<()>) {
        let (calls, queue) = mpsc::channel(config.queue.max(1));
        let ledger = Self { calls, gateway: config.gateway };
        let task = tokio::spawn(Actor { store, config }.run(queue, shutdown));
        (ledger, task)
    }

    /// Books a receipt: resolves after the commit. The same charge again is Ok (`replayed`); another with the same receipt
    /// id, request id or (channel, nonce) is a [`LedgerError::Conflict`].
    pub async fn charge(&self, charge: Charge) -> Result<Charged, LedgerError> {
        let receipt = charge.check(self.gateway)?;
        match self.call(Call::Charge(Box::new(Parsed { charge, receipt }))).await? {
            Answer::Charged(charged) => Ok(charged),
            _ => Err(LedgerError::Stopped),
        }
    }

    /// Marks a leased nonce as never to be charged (the request ended without a charge), so that later notes need not wait
    /// for it. Idempotent. Returns the notes that became issuable.
    pub async fn void(&self, channel: ChannelId, nonce: u64) -> Result<Vec<IssuableNote>, LedgerError> {
        self.notes(Call::Void { channel, nonce }).await
    }

    /// Leases the next `count` nonces of a channel to this process. Unused nonces of holders that stopped renewing turn void.
    pub async fn reserve_nonces(&self, channel: ChannelId, count: u32) -> Result<NonceBlock, LedgerError> {
        match self.call(Call::Reserve { channel, count }).await? {
            Answer::Block(block) => Ok(block),
            _ => Err(LedgerError::Stopped),
        }
    }

    /// Voids every unused nonce that this process has leased. Shutting down does it too.
    pub async fn release_nonces(&self) -> Result<Vec<IssuableNote>, LedgerError> {
        self.notes(Call::Release(Leases::Own)).await
    }

    /// Voids the unused nonces of all other holders at once, without waiting for their leases to expire. Only for a gateway
    /// key with a single process, right after its start.
    pub async fn take_over_nonces(&self) -> Result<Vec<IssuableNote>, LedgerError> {
        self.notes(Call::Release(Leases::Others)).await
    }

    async fn notes(&self, call: Call) -> Result<Vec<IssuableNote>, LedgerError> {
        match self.call(call).await? {
            Answer::Notes(notes) => Ok(notes),
            _ => Err(LedgerError::Stopped),
        }
    }

    async fn call(&self, call: Call) -> Result<Answer, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(Entry { call, reply, since: Instant::now() }).await.map_err(|_| LedgerError::Stopped)?;
        answer.await.map_err(|_| LedgerError::Stopped)?
    }
}

struct Actor {
    store: Store,
    config: LedgerConfig,
}

impl Actor {
    async fn run(self, mut queue: mpsc::Receiver<Entry>, shutdown: CancellationToken) {
        // Before the first call, so that leftovers of a crashed process are void when the first answer leaves.
        self.renew().await;
        let period = (self.config.lease_ttl / 4).max(Duration::from_millis(1));
        let mut renewal = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut batch = Vec::with_capacity(self.config.max_batch);
        // Charges that came before the receipt that theirs continues.
        let mut held: Vec<Entry> = Vec::new();
        let mut draining = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !draining => {
                    queue.close();
                    draining = true;
                }
                _ = renewal.tick() => self.renew().await,
                () = tokio::time::sleep_until(held_until(&held)), if !held.is_empty() => {
                    held = self.answer(std::mem::take(&mut held)).await;
                }
                received = queue.recv_many(&mut batch, self.config.max_batch.max(1)) => {
                    if received == 0 {
                        if held.is_empty() {
                            break;
                        }
                        // Nothing more can come; what is held only runs out of time.
                        tokio::time::sleep_until(held_until(&held)).await;
                    }
                    held.append(&mut batch);
                    held = self.answer(std::mem::take(&mut held)).await;
                }
            }
        }
        if let Err(error) = self.commit(&[&Call::Release(Leases::Own)]).await {
            tracing::warn!(%error, "nonce leases were not released; they expire");
        }
    }

    /// Commits a batch and answers its callers, except for charges that may still wait for the one before them: those come
    /// back. When the database refuses the batch as a whole, each call gets its own
    /// transaction, so that one that only the database can refuse does not fail its neighbours.
    async fn answer(&self, batch: Vec<Entry>) -> Vec<Entry> {
        let batch = in_line_order(batch);
        let calls: Vec<&Call> = batch.iter().map(|entry| &entry.call).collect();
        let answers = match self.commit(&calls).await {
            Ok(answers) => answers,
            Err(error) if calls.len() > 1 && is_refusal(&error) => {
                tracing::warn!(%error, calls = calls.len(), "the database refused a batch; its calls are committed one by one");
                let mut answers = Vec::with_capacity(calls.len());
                for call in &calls {
                    match self.commit(&[call]).await {
                        Ok(mut one) => answers.append(&mut one),
                        Err(error) => answers.push(Err(LedgerError::Database(Arc::new(error)))),
                    }
                }
                answers
            }
            Err(error) => {
                tracing::error!(%error, calls = calls.len(), "a ledger transaction failed");
                let error = Arc::new(error);
                calls.iter().map(|_| Err(LedgerError::Database(error.clone()))).collect()
            }
        };
        let mut held = Vec::new();
        for (entry, answer) in batch.into_iter().zip(answers) {
            let is_early =
                matches!(&answer, Err(LedgerError::Discontinuous { seq, expected_seq, .. }) if seq > expected_seq);
            if is_early && entry.since.elapsed() < LINE_HOLD {
                held.push(entry);
                continue;
            }
            // A caller that went away has its charge stored all the same; the same call again finds it.
            let _ = entry.reply.send(answer);
        }
        held
    }

    async fn commit(&self, calls: &[&Call]) -> Result<Vec<Result<Answer, LedgerError>>, StoreError> {
        let work = async {
            let mut tx = self.store.begin().await?;
            lock_gateway(&mut tx, self.config.gateway).await?;
            let mut book = Book::load(&mut tx, &self.config, calls).await?;
            let mut answers = Vec::with_capacity(calls.len());
            for call in calls {
                answers.push(book.apply(&mut tx, call).await?);
            }
            book.write(&mut tx).await?;
            tx.commit().await?;
            Ok(answers)
        };
        tokio::time::timeout(self.config.commit_timeout, work)
            .await
            .unwrap_or_else(|_| Err(StoreError::Database(sqlx::Error::PoolTimedOut)))
    }

    /// Renews this holder's leases and voids those that expired, so that notes cannot wait for ever on a crashed process.
    async fn renew(&self) {
        let done = async {
            let until = (self.config.clock)().saturating_add(ttl_ms(&self.config));
            rows::renew_leases(&self.store, &self.config.holder, until).await?;
            if rows::any_expired(&self.store, &self.config).await? {
                self.commit(&[&Call::Release(Leases::Expired)]).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "renewing nonce leases failed");
        }
    }
}

/// When the first of these charges has waited long enough.
fn held_until(held: &[Entry]) -> Instant {
    held.iter().map(|entry| entry.since).min().unwrap_or_else(Instant::now) + LINE_HOLD
}

fn ttl_ms(config: &LedgerConfig) -> u64 {
    u64::try_from(config.lease_ttl.as_millis()).unwrap_or(u64::MAX)
}

/// True for errors that name the data and not the connection: a smaller transaction may succeed.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::Database(sqlx::Error::Database(_) | sqlx::Error::Encode(_)) => true,
        StoreError::Database(_) | StoreError::Migrate(_) => false,
        _ => true,
    }
}
