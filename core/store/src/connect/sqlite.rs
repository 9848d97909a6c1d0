//! SQLite: one connection that writes, and a few that read beside it.

use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend,
    SqliteTransactionMode, Statement, TransactionOptions,
};

use super::PATIENCE;
use crate::StoreError;

/// Readers at once. Reads are bound by the processor: more than a few only queue elsewhere.
const READERS: u32 = 4;

pub(super) fn is(url: &str) -> bool {
    url.starts_with("sqlite:")
}

pub(super) async fn writer(url: &str) -> Result<DatabaseConnection, StoreError> {
    let mut options = pool_options(url, 1);
    // Where the disk is full, SQLite takes a transaction back by itself, and sqlx goes on as if it were open: what the next ones
    // write is never committed. Such a connection is given up.
    options.map_sqlx_sqlite_before_acquire(|connection, _| {
        Box::pin(async move { Ok(!connection.is_in_transaction()) })
    });
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .create_if_missing(true)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .pragma("journal_mode", "WAL")
            // A device sends its tokens once. NORMAL could lose the last commits at a power cut.
            .pragma("synchronous", "FULL")
    });
    Ok(Database::connect(options).await?)
}

pub(super) async fn reader(url: &str) -> Result<DatabaseConnection, StoreError> {
    let mut options = pool_options(url, READERS);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .pragma("query_only", "ON")
    });
    Ok(Database::connect(options).await?)
}

/// Writes the database as it is at one moment into a new file, beside those who use it: by a connection of its own, so that nobody waits.
pub(super) async fn copy(url: &str, into: &str) -> Result<(), StoreError> {
    let mut options = pool_options(url, 1);
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(PATIENCE));
    let database = Database::connect(options).await?;
    let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [into.into()]);
    let copied = database.execute_raw(copy).await;
    database.close().await?;
    copied?;
    Ok(())
}

/// Each connection to such a database has one of its own.
pub(super) fn is_in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

/// Transactions are immediate: a deferred one that reads before it writes cannot upgrade when another process wrote in between,
/// and no waiting helps it.
pub(super) fn transactions() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

/// Connections are kept for good: an in-memory database lives only as long as its connection does, and a fresh one would
/// have to prepare its statements again.
fn pool_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .test_before_acquire(false)
        .sqlx_logging(false);
    options
}
