//! Opens the database, and starts transactions. What only one of the databases has is in `sqlite` and `postgres`; the queries elsewhere are
//! the same for both.
//!
//! Transactions of SQLite come one after another. Those of PostgreSQL run side by side at *read committed*, so a use case that reads
//! before it writes locks what it read: rows with `lock_exclusive`, and with [`take_turn`](crate::turn::take_turn) what is no row yet. Whoever locks several takes
//! a device before its user channels, and an enrollment before its commands and pushes, so that no two wait for each other.

mod postgres;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lanyard_pki::seal::KeyRing;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use uuid::Uuid;

use crate::decisions::DecisionRecord;
use crate::events::NewEvent;
use crate::{StoreError, migration};

/// How long a statement waits for its connection, or for another process's lock, before it fails. Longer than the slowest
/// transaction here, shorter than the patience of a device (60 s).
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The store. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    /// `None` when opened for reading only.
    writer: Option<DatabaseConnection>,
    pub(crate) reader: DatabaseConnection,
    /// Where the database is, for people.
    place: Arc<str>,
    pub(crate) sealing: KeyRing,
    /// What the next use case is to put into the event outbox.
    pub(crate) notes: Vec<NewEvent>,
    /// The decision that the next use case carries out.
    pub(crate) record: Option<DecisionRecord>,
    /// The approvals that the next use case uses up, and when.
    pub(crate) uses: Option<(Vec<Uuid>, SystemTime)>,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store")
            .field("writable", &self.writer.is_some())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `url`, brings its tables up to this version and makes the key current in `sealing` under which it
    /// is sealed. `sqlite:PATH` is created if it is not there (`sqlite::memory:` lives as long as the store); the database that
    /// `postgres://USER:PASSWORD@HOST/DATABASE` names must exist and be UTF-8.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedUrl`], [`StoreError::WrongSealingKey`], or [`StoreError::Database`] when the database cannot be
    /// opened or was migrated by a later version.
    pub async fn connect(url: &str, sealing: impl Into<KeyRing>) -> Result<Self, StoreError> {
        let writer = if sqlite::is(url) {
            sqlite::writer(url).await?
        } else if postgres::is(url) {
            postgres::pool(url, true).await?
        } else {
            return Err(StoreError::UnsupportedUrl);
        };
        migration::run(begin(&writer).await?).await?;
        let reader = if sqlite::is(url) && !sqlite::is_in_memory(url) {
            sqlite::reader(url).await?
        } else {
            writer.clone()
        };
        let store = Self::new(url, Some(writer), reader, sealing.into());
        store.adopt_sealing_key().await?;
        Ok(store)
    }

    /// Opens an existing database for reports. Nothing is created, migrated or written; methods that write return
    /// [`StoreError::ReadOnly`].
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`StoreError::Unmigrated`] when the tables are not those of this version.
    pub async fn connect_read_only(
        url: &str,
        sealing: impl Into<KeyRing>,
    ) -> Result<Self, StoreError> {
        let reader = if sqlite::is(url) {
            sqlite::reader(url).await?
        } else if postgres::is(url) {
            postgres::pool(url, false).await?
        } else {
            return Err(StoreError::UnsupportedUrl);
        };
        migration::require_current(&reader).await?;
        let store = Self::new(url, None, reader, sealing.into());
        store.follow_sealing_key().await?;
        Ok(store)
    }

    /// Writes a database of SQLite, as it is at one moment, into a new file. Whoever uses it meanwhile goes on.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedUrl`] for a database that is no file; [`StoreError::Database`] when it cannot be read, or the file not be
    /// made: it exists, or the disk is full.
    pub async fn copy(url: &str, into: &Path) -> Result<(), StoreError> {
        match into.to_str() {
            Some(into) if sqlite::is(url) && !sqlite::is_in_memory(url) => {
                sqlite::copy(url, into).await
            }
            _ => Err(StoreError::UnsupportedUrl),
        }
    }

    /// Closes the connections after what they are doing. A store that is merely dropped loses nothing either.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] when a connection could not be closed.
    pub async fn close(self) -> Result<(), StoreError> {
        self.reader.close().await?;
        if let Some(writer) = self.writer {
            writer.close().await?;
        }
        Ok(())
    }

    fn new(
        url: &str,
        writer: Option<DatabaseConnection>,
        reader: DatabaseConnection,
        sealing: KeyRing,
    ) -> Self {
        Self {
            writer,
            reader,
            place: place(url).into(),
            sealing,
            notes: Vec::new(),
            record: None,
            uses: None,
        }
    }

    /// Where the database is: its address without user, password and options.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The keys with which secrets are sealed and opened.
    #[must_use]
    pub fn key_ring(&self) -> &KeyRing {
        &self.sealing
    }

    /// Every connection, for a test to listen at.
    #[cfg(test)]
    pub(crate) fn connections(&mut self) -> impl Iterator<Item = &mut DatabaseConnection> {
        self.writer.iter_mut().chain([&mut self.reader])
    }

    /// Starts the transaction of one use case. Dropping it without a commit takes everything back.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        begin(self.writer()?).await
    }

    /// The connection for a use case that is one statement.
    pub(crate) fn writer(&self) -> Result<&DatabaseConnection, StoreError> {
        self.writer.as_ref().ok_or(StoreError::ReadOnly)
    }
}

async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
    Ok(writer.begin_with_options(sqlite::transactions()).await?)
}

/// An address without what is not to be logged.
fn place(url: &str) -> String {
    let (start, options) = url.split_once('?').unwrap_or((url, ""));
    let Some((scheme, rest)) = start.split_once("://").filter(|_| postgres::is(url)) else {
        return start.to_owned();
    };
    // A password with a question mark in it looks like options.
    if options.contains('@') {
        return format!("{scheme}://…");
    }
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

/// True when a statement failed because a unique value is taken.
pub(crate) fn is_conflict(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_))
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_place_of_a_database_names_nobody_and_has_no_secret() {
        for (url, place) in [
            (
                "postgres://u:p@db.example:5433/lanyard?sslmode=require",
                "postgres://db.example:5433/lanyard",
            ),
            (
                "postgresql://u:a@b@db.example/lanyard",
                "postgresql://db.example/lanyard",
            ),
            ("postgres://u:p?p@db.example/lanyard", "postgres://…"),
            (
                "postgres:///lanyard?host=/run/postgresql&password=p",
                "postgres:///lanyard",
            ),
            (
                "sqlite:///srv/a@b/lanyard.db?mode=rwc",
                "sqlite:///srv/a@b/lanyard.db",
            ),
        ] {
            assert_eq!(super::place(url), place);
        }
    }
}
