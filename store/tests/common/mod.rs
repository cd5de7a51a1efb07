//! Databases for the suites: a SQLite file, or a fresh database on a Postgres server that the running tests share.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::testing::{ChargeSource, PostgresServer};
use waybill_store::{Backend, Ledger, LedgerConfig, Store};

pub const GATEWAY: WalletId = WalletId([0xAA; 32]);
pub const CONSUMER: WalletId = WalletId([0xBB; 32]);

static POSTGRES: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// One empty database; gone when dropped.
pub struct Database {
    pub url: String,
    _folder: Option<TempDir>,
    _server: Option<Arc<PostgresServer>>,
}

impl Database {
    pub fn new(backend: Backend) -> Option<Self> {
        match backend {
            Backend::Sqlite => {
                let folder = TempDir::with_prefix("wb-sqlite-").unwrap();
                let url = format!("sqlite://{}/store.db?mode=rwc", folder.path().display());
                Some(Self { url, _folder: Some(folder), _server: None })
            }
            Backend::Postgres => {
                let mut shared = POSTGRES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let server = match shared.upgrade() {
                    Some(server) => server,
                    None => Arc::new(PostgresServer::start(false).unwrap()?),
                };
                *shared = Arc::downgrade(&server);
                let url = server.database(&format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed))).unwrap();
                Some(Self { url, _folder: None, _server: Some(server) })
            }
        }
    }
}

/// An opened store, a ledger on it, and a clock that the test turns.
pub struct World {
    pub store: Store,
    pub ledger: Ledger,
    pub source: ChargeSource,
    pub now_ms: Arc<AtomicU64>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
    pub database: Database,
}

impl World {
    pub async fn open(database: Database) -> Self {
        let store = Store::open(&database.url).await.unwrap();
        let now_ms = Arc::new(AtomicU64::new(1_000_000));
        let shutdown = CancellationToken::new();
        let (ledger, task) = Ledger::start(store.clone(), config("first", &now_ms), shutdown.clone());
        Self { store, ledger, source: ChargeSource::new(GATEWAY), now_ms, shutdown, task, database }
    }

    /// A known channel with the nonces 1..=count leased to the world's ledger.
    pub async fn channel(&self, tag: u8, count: u32) -> ChannelId {
        let channel = ChannelId([tag; 32]);
        self.store.ensure_channel(channel, CONSUMER, GATEWAY).await.unwrap();
        let block = self.ledger.reserve_nonces(channel, count).await.unwrap();
        assert_eq!(block.nonces, 1..u64::from(count) + 1);
        channel
    }

    /// Another process with the same gateway key on the same database.
    pub fn second_ledger(&self, holder: &str) -> (Ledger, JoinHandle<()>) {
        Ledger::start(self.store.clone(), config(holder, &self.now_ms), self.shutdown.clone())
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.store.close().await;
    }
}

pub fn config(holder: &str, now_ms: &Arc<AtomicU64>) -> LedgerConfig {
    let now_ms = now_ms.clone();
    LedgerConfig { clock: Arc::new(move || now_ms.load(Ordering::SeqCst)), ..LedgerConfig::new(GATEWAY, holder) }
}

/// Runs every scenario on SQLite and on Postgres.
#[macro_export]
macro_rules! on_both_databases {
    ($($scenario:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                let database = $crate::common::Database::new(waybill_store::Backend::Sqlite).unwrap();
                super::$scenario($crate::common::World::open(database).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                let Some(database) = $crate::common::Database::new(waybill_store::Backend::Postgres) else { return };
                super::$scenario($crate::common::World::open(database).await).await;
            })*
        }
    };
}
