//! What fails below the use cases.

use sea_orm::{ConnAcquireErr, DbErr, SqlErr};

use crate::connect::PATIENCE;

/// Why the store could not do what it was asked. A refusal that belongs to a use case (a challenge that was used, a command
/// that is already done) is an outcome of its method, not an error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique value is taken.
    #[error("another row already has this value, choose a new one: {what}")]
    Conflict {
        /// The constraint, as the database names it.
        what: String,
    },
    /// A row that the written one refers to does not exist.
    #[error("a row that the written one refers to does not exist: {what}")]
    NotFound {
        /// The constraint, as the database names it.
        what: String,
    },
    /// A stored value is not one that this version writes, or does not open with the sealing key.
    #[error("table {table} holds a damaged value: {what}")]
    Damaged {
        /// The table's name.
        table: &'static str,
        /// Which value, and what is wrong with it. Never the value of a secret.
        what: String,
    },
    /// The database is sealed with a key that the ring lacks.
    #[error(
        "the database is sealed with another key than those in the key file: restore the file that was in use, or copy it from a node that has the key"
    )]
    WrongSealingKey,
    /// The address names a database that this version does not speak to.
    #[error(
        "the database address must start with sqlite: or postgres: (as in sqlite:///var/lib/lanyard/lanyard.db, postgres://lanyard@db.example/lanyard)"
    )]
    UnsupportedUrl,
    /// Opened with [`Store::connect_read_only`](crate::Store::connect_read_only), then asked to write.
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// Opened for reading only, but the tables are those of another version.
    #[error("the tables are not those of this version: start the server once to migrate them")]
    Unmigrated,
    /// There was no connection for a statement. Nothing was done.
    #[error(
        "the database gave no connection for {} seconds: it is away, or has too much to do; each later use tries again",
        PATIENCE.as_secs()
    )]
    Unreachable,
    /// The database failed or refused.
    #[error("the database could not carry out a statement")]
    Database(#[source] DbErr),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if let DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) = error {
            return Self::Unreachable;
        }
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(what)) => Self::Conflict { what },
            Some(SqlErr::ForeignKeyConstraintViolation(what)) => Self::NotFound { what },
            _ => Self::Database(error),
        }
    }
}
