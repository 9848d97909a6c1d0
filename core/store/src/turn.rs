//! Transactions that wait for each other by name: in place of the lock of a row that is not there yet, or of several that are counted.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

use crate::StoreError;

/// Waits until no other transaction that named the same `subject` is open; later ones wait for this one's end. Transactions
/// of SQLite come one after another anyhow.
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
