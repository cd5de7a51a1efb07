//! Why the store could not answer.

/// A failed read or write. No variant means "done": a caller that gets one of these has stored nothing, except that a
/// [`StoreError::Database`] at commit leaves the outcome unknown and the same call must be made again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("migrating the database failed: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("database URL {0:?} starts with neither sqlite: nor postgres:")]
    Url(String),
    #[error("{column} = {value} does not fit the BIGINT that stores it")]
    TooLarge { column: &'static str, value: u64 },
    #[error("column {column} holds {found}, which is no {expected}")]
    Corrupt { column: &'static str, expected: &'static str, found: String },
    #[error("{what} exists with other content")]
    Conflict { what: String },
    #[error("{what} does not exist")]
    Missing { what: String },
    #[error("{what} is {actual}, not {expected}")]
    Transition { what: String, expected: &'static str, actual: &'static str },
    #[error("malformed {what}: {why}")]
    Malformed { what: &'static str, why: String },
}
