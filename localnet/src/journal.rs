//! A rollback journal for surfpool's SQLite file, so that SIGKILL cannot leave half a transaction.
//!
//! surfpool writes every account that a transaction changed with a statement of its own, then the accounts' indexes, and
//! last the row in `transactions`; each statement commits alone. A process killed in between would leave a payer debited
//! and a payee not credited, with no record of the transaction.
//!
//! The journal is kept by triggers inside the same database, hence in the same commits: before a row of state changes, its
//! old value is copied to `waybill_undo`, unless one is already there; the row in `transactions` (or of a block, or of the
//! slot checkpoint) empties it. Whatever is in `waybill_undo` when the file is opened belongs to a transaction that never
//! completed, and is put back.
//!
//! The row in `transactions` also leaves its own key there, because one kind of transaction writes after its record: an
//! airdrop, whose credit is undone like the rest. Who opens the file looks at [`Recovered::last_transaction`] and credits it
//! again, between [`arm`] and [`settle`].

use std::path::Path;

use surfpool_db::diesel::{
    self, Connection, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::Text,
};

/// Tables that one transaction changes together.
const STATE: [&str; 9] = [
    "accounts",
    "accounts_by_owner",
    "account_associated_data",
    "offline_accounts",
    "token_accounts",
    "token_accounts_by_delegate",
    "token_accounts_by_mint",
    "token_accounts_by_owner",
    "token_mints",
];

/// Tables whose rows are written when the state is consistent.
const MARKERS: [&str; 3] = ["transactions", "blocks", "slot_checkpoint"];

/// What [`recover`] found.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovered {
    /// How many rows were put back.
    pub undone: usize,
    /// The signature of the transaction that was recorded last, if no block or slot came after it.
    pub last_transaction: Option<String>,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = Text)]
    key: String,
}

/// Undoes what an interrupted transaction wrote and switches the journal off until [`arm`]. Call it before surfpool opens
/// the file. The last transaction stays known until [`settle`], so a start that is itself killed can be repeated.
pub fn recover(database: &Path) -> Result<Recovered, String> {
    let mut connection = connect(database)?;
    // surfpool registers its built-in IDLs anew at every start and never drops the old ones, so every start would be
    // slower than the last. On a first start the table does not exist yet.
    let _ = execute(&mut connection, "DELETE FROM registered_idls;");
    let mut sql = String::from(
        "PRAGMA journal_mode=WAL;
         BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS waybill_undo (
             tbl TEXT NOT NULL, surfnet_id TEXT NOT NULL, key TEXT NOT NULL, old TEXT,
             PRIMARY KEY (tbl, surfnet_id, key)) WITHOUT ROWID;",
    );
    for table in STATE.iter().chain(&MARKERS) {
        sql += &format!(
            "DROP TRIGGER IF EXISTS waybill_{table}_insert;
             DROP TRIGGER IF EXISTS waybill_{table}_delete;"
        );
    }
    execute(&mut connection, &sql)?;
    let last: Vec<Key> = sql_query("SELECT key FROM waybill_undo WHERE tbl = 'transactions'")
        .load(&mut connection)
        .map_err(|error| error.to_string())?;
    let undone = sql_query("UPDATE waybill_undo SET tbl = tbl WHERE tbl <> 'transactions'")
        .execute(&mut connection)
        .map_err(|error| error.to_string())?;
    let mut sql = String::new();
    if undone > 0 {
        for table in STATE {
            sql += &format!(
                "DELETE FROM {table} WHERE (surfnet_id, key) IN
                     (SELECT surfnet_id, key FROM waybill_undo WHERE tbl = '{table}');
                 INSERT INTO {table} (surfnet_id, key, value)
                     SELECT surfnet_id, key, old FROM waybill_undo WHERE tbl = '{table}' AND old IS NOT NULL;"
            );
        }
    }
    sql += "DELETE FROM waybill_undo WHERE tbl <> 'transactions'; COMMIT;";
    execute(&mut connection, &sql)?;
    // surfpool stores keys as JSON
    let last_transaction = last.into_iter().next().map(|row| row.key.trim_matches('"').to_owned());
    Ok(Recovered { undone, last_transaction })
}

/// Declares the state consistent: nothing written before this call is undone or completed any more.
pub fn settle(database: &Path) -> Result<(), String> {
    execute(&mut connect(database)?, "DELETE FROM waybill_undo;")
}

/// Switches the journal on. Call it once the state is consistent and surfpool has created its tables.
pub fn arm(database: &Path) -> Result<(), String> {
    let mut connection = connect(database)?;
    let mut sql = String::from("BEGIN IMMEDIATE;");
    for table in STATE {
        // `INSERT OR REPLACE` fires no delete trigger, and its conflict policy would overrule one stated here; therefore the
        // old value is looked up before the insert, and `NOT EXISTS` keeps the oldest.
        for (event, row) in [("insert", "NEW"), ("delete", "OLD")] {
            sql += &format!(
                "CREATE TRIGGER waybill_{table}_{event} BEFORE {event} ON {table}
                 WHEN NOT EXISTS (SELECT 1 FROM waybill_undo
                     WHERE tbl = '{table}' AND surfnet_id = {row}.surfnet_id AND key = {row}.key)
                 BEGIN
                     INSERT INTO waybill_undo (tbl, surfnet_id, key, old) VALUES ('{table}', {row}.surfnet_id, {row}.key,
                         (SELECT value FROM {table} WHERE surfnet_id = {row}.surfnet_id AND key = {row}.key));
                 END;"
            );
        }
    }
    for table in MARKERS {
        let remember = match table {
            "transactions" => {
                "INSERT INTO waybill_undo (tbl, surfnet_id, key) VALUES ('transactions', NEW.surfnet_id, NEW.key);"
            }
            _ => "",
        };
        sql += &format!(
            "CREATE TRIGGER waybill_{table}_insert AFTER INSERT ON {table}
             BEGIN DELETE FROM waybill_undo; {remember} END;"
        );
    }
    sql += "COMMIT;";
    execute(&mut connection, &sql)
}

fn connect(database: &Path) -> Result<SqliteConnection, String> {
    let path = database.to_str().ok_or("its path is not UTF-8")?;
    let mut connection = SqliteConnection::establish(path).map_err(|error| error.to_string())?;
    execute(&mut connection, "PRAGMA busy_timeout=5000;")?;
    Ok(connection)
}

fn execute(connection: &mut SqliteConnection, sql: &str) -> Result<(), String> {
    connection.batch_execute(sql).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(QueryableByName, Debug, PartialEq)]
    struct Row {
        #[diesel(sql_type = Text)]
        key: String,
        #[diesel(sql_type = Text)]
        value: String,
    }

    /// A file with surfpool's tables and two accounts, and a connection that writes as surfpool does.
    fn file(folder: &Path) -> (std::path::PathBuf, SqliteConnection) {
        let path = folder.join("chain.sqlite");
        recover(&path).unwrap();
        let mut connection = connect(&path).unwrap();
        for table in STATE.iter().chain(&MARKERS) {
            execute(
                &mut connection,
                &format!(
                    "CREATE TABLE {table} (surfnet_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                     PRIMARY KEY (surfnet_id, key))"
                ),
            )
            .unwrap();
        }
        put(&mut connection, "accounts", "payer", "100");
        put(&mut connection, "accounts", "closing", "5");
        arm(&path).unwrap();
        (path, connection)
    }

    fn put(connection: &mut SqliteConnection, table: &str, key: &str, value: &str) {
        execute(
            connection,
            &format!("INSERT OR REPLACE INTO {table} (surfnet_id, key, value) VALUES ('w', '{key}', '{value}')"),
        )
        .unwrap();
    }

    fn take(connection: &mut SqliteConnection, key: &str) {
        execute(connection, &format!("DELETE FROM accounts WHERE surfnet_id = 'w' AND key = '{key}'")).unwrap();
    }

    fn accounts(path: &Path) -> Vec<(String, String)> {
        let rows: Vec<Row> =
            sql_query("SELECT key, value FROM accounts ORDER BY key").load(&mut connect(path).unwrap()).unwrap();
        rows.into_iter().map(|row| (row.key, row.value)).collect()
    }

    fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
        rows.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn a_transaction_without_its_record_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut connection) = file(folder.path());
        put(&mut connection, "accounts", "payer", "60");
        put(&mut connection, "accounts", "payee", "40");
        put(&mut connection, "accounts", "payer", "50");
        take(&mut connection, "closing");
        drop(connection);
        assert_eq!(recover(&path).unwrap(), Recovered { undone: 3, last_transaction: None });
        assert_eq!(accounts(&path), pairs(&[("closing", "5"), ("payer", "100")]));
        assert_eq!(recover(&path).unwrap(), Recovered { undone: 0, last_transaction: None });
    }

    #[test]
    fn a_transaction_with_its_record_stays_and_only_the_next_one_is_undone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut connection) = file(folder.path());
        put(&mut connection, "accounts", "payer", "60");
        put(&mut connection, "accounts", "payee", "40");
        put(&mut connection, "transactions", "\"signature\"", "{}");
        put(&mut connection, "accounts", "payee", "41");
        drop(connection);
        let expected = Recovered { undone: 1, last_transaction: Some("signature".into()) };
        assert_eq!(recover(&path).unwrap(), expected);
        assert_eq!(accounts(&path), pairs(&[("closing", "5"), ("payee", "40"), ("payer", "60")]));
    }

    #[test]
    fn the_last_transaction_is_known_until_a_slot_follows_or_the_state_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut connection) = file(folder.path());
        put(&mut connection, "transactions", "\"first\"", "{}");
        put(&mut connection, "transactions", "\"second\"", "{}");
        drop(connection);
        let second = Recovered { undone: 0, last_transaction: Some("second".into()) };
        assert_eq!(recover(&path).unwrap(), second);
        assert_eq!(recover(&path).unwrap(), second);
        settle(&path).unwrap();
        assert_eq!(recover(&path).unwrap(), Recovered { undone: 0, last_transaction: None });

        arm(&path).unwrap();
        let mut connection = connect(&path).unwrap();
        put(&mut connection, "transactions", "\"third\"", "{}");
        put(&mut connection, "slot_checkpoint", "latest_slot", "9");
        drop(connection);
        assert_eq!(recover(&path).unwrap(), Recovered { undone: 0, last_transaction: None });
    }
}
