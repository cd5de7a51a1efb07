//! Opening the database: pools, pragmas, migrations. SQLite gets one writing connection and several readers (WAL);
//! Postgres one pool for both.

use crate::StoreError;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, Executor, Transaction};
use std::str::FromStr;
use std::time::Duration;

/// Longest wait for a connection; after that the call fails and the service sheds.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

/// Per connection: readers never block the writer, a commit survives a power cut, and another process's write is waited for.
const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; \
                              PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -32000;";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Handle to the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    pub(crate) read: AnyPool,
    pub(crate) write: AnyPool,
}

impl Store {
    /// Opens `sqlite://path?mode=rwc` or `postgres://…` and brings its schema up to date.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        install_default_drivers();
        let backend = match url.split(':').next() {
            Some("sqlite") => Backend::Sqlite,
            Some("postgres" | "postgresql") => Backend::Postgres,
            _ => return Err(StoreError::Url(url.split(':').next().map(str::to_owned).unwrap_or_default())),
        };
        let options = AnyConnectOptions::from_str(url)?;
        let store = match backend {
            Backend::Sqlite => Self {
                backend,
                write: pool(backend, 1).connect_with(options.clone()).await?,
                read: pool(backend, SQLITE_READERS).connect_lazy_with(options),
            },
            Backend::Postgres => {
                let pool = pool(backend, POSTGRES_CONNECTIONS).connect_with(options).await?;
                Self { backend, read: pool.clone(), write: pool }
            }
        };
        match backend {
            Backend::Sqlite => sqlx::migrate!("../migrations/sqlite").run(&store.write).await?,
            Backend::Postgres => sqlx::migrate!("../migrations/postgres").run(&store.write).await?,
        }
        Ok(store)
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// True when the database answers.
    pub async fn healthy(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.read).await.is_ok()
    }

    /// Closes all connections; clones of this handle fail from here on.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// A writing transaction. SQLite takes its write lock at once, so that no later statement can find it stale.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.backend {
            Backend::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await?,
            Backend::Postgres => self.write.begin().await?,
        })
    }
}

fn pool(backend: Backend, connections: u32) -> AnyPoolOptions {
    let options = AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT);
    match backend {
        Backend::Postgres => options,
        Backend::Sqlite => options.after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(SQLITE_PRAGMAS).await?;
                Ok(())
            })
        }),
    }
}
