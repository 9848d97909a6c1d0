//! PostgreSQL: one pool, and transactions that wait for each other by row or by [turn](take_turn).

use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    Statement,
};

use super::PATIENCE;
use crate::StoreError;

/// Connections of one node. More than twice the database's processors only queue there.
const CONNECTIONS: u32 = 16;

/// A connection that nobody used for so long may be gone, with its server or with a firewall's memory of it: it is tried first.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The schemes that name PostgreSQL; the second one is what its own tools write as well.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

pub(super) fn is(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

pub(super) async fn pool(url: &str, writes: bool) -> Result<DatabaseConnection, StoreError> {
    let [known, other] = SCHEMES;
    let url = match url.strip_prefix(other) {
        Some(rest) => format!("{known}{rest}"),
        None => url.to_owned(),
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(CONNECTIONS)
        .connect_timeout(PATIENCE)
        .acquire_timeout(PATIENCE)
        .test_before_acquire_if_idle_for(TRUSTED_FOR)
        .set_application_name("lanyard")
        .sqlx_logging(false);
    options.map_sqlx_postgres_opts(move |postgres| {
        let patience = PATIENCE.as_millis().to_string();
        postgres.options([
            ("default_transaction_isolation", "read committed"),
            (
                "default_transaction_read_only",
                if writes { "off" } else { "on" },
            ),
            ("statement_timeout", &patience),
            // A node that hangs, or whose machine is gone, must not keep its locks from the others.
            ("idle_in_transaction_session_timeout", &patience),
        ])
    });
    Ok(Database::connect(options).await?)
}

/// Waits until no other transaction that named the same `subject` is open; later ones wait for this one's end. It stands in for
/// the lock of a row that is not there yet, or of several that are counted. Transactions of SQLite come one after another anyhow.
pub(crate) async fn take_turn(
    tx: &DatabaseTransaction,
    subject: &str,
    key: &[&str],
) -> Result<(), StoreError> {
    if tx.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let subject = format!("{subject}/{}", key.join("/"));
    tx.execute_raw(Statement::from_sql_and_values(
        DbBackend::Postgres,
        // Two subjects with one hash merely wait for each other.
        "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
        [subject.into()],
    ))
    .await?;
    Ok(())
}
