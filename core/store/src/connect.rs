//! Opens the database. Everything that only SQLite has is in this file: PostgreSQL gets its own pool here and no
//! query elsewhere changes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lanyard_pki::seal::SealingKey;
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use uuid::Uuid;

use crate::decisions::DecisionRecord;
use crate::events::NewEvent;
use crate::{StoreError, migration};

/// How long a statement waits for its connection, or for another process's lock, before it fails. Longer than the slowest
/// transaction here, shorter than the patience of a device (60 s).
const PATIENCE: Duration = Duration::from_secs(10);

/// Readers at once. SQLite reads are bound by the processor: more than a few only queue elsewhere.
const READERS: u32 = 4;

/// The store. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    /// `None` when opened for reading only.
    writer: Option<DatabaseConnection>,
    pub(crate) reader: DatabaseConnection,
    pub(crate) sealing: Arc<SealingKey>,
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
    /// Opens the database at `url` (`sqlite:PATH` or `sqlite::memory:`), creates it if there is none, brings its tables up to
    /// this version and makes sure that `sealing` is the key that its secrets were sealed with.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedUrl`], [`StoreError::WrongSealingKey`], or [`StoreError::Database`] when the file cannot be
    /// opened or was migrated by a later version.
    pub async fn connect(url: &str, sealing: SealingKey) -> Result<Self, StoreError> {
        require_sqlite(url)?;
        let writer = Database::connect(writer_options(url)).await?;
        migration::run(&writer).await?;
        // Each connection to an in-memory database has one of its own, so there the writer is the reader, too.
        let reader = if is_in_memory(url) {
            writer.clone()
        } else {
            Database::connect(reader_options(url)).await?
        };
        let store = Self {
            writer: Some(writer),
            reader,
            sealing: Arc::new(sealing),
            notes: Vec::new(),
            record: None,
            uses: None,
        };
        store.adopt_sealing_key().await?;
        Ok(store)
    }

    /// Opens an existing database for reports. Nothing is created, migrated or written; methods that write return
    /// [`StoreError::ReadOnly`].
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and [`StoreError::Unmigrated`] when the tables are not those of this version.
    pub async fn connect_read_only(url: &str, sealing: SealingKey) -> Result<Self, StoreError> {
        require_sqlite(url)?;
        let reader = Database::connect(reader_options(url)).await?;
        migration::require_current(&reader).await?;
        let store = Self {
            writer: None,
            reader,
            sealing: Arc::new(sealing),
            notes: Vec::new(),
            record: None,
            uses: None,
        };
        store.check_sealing_key().await?;
        Ok(store)
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

    /// Starts the transaction of one use case. Dropping it without a commit takes everything back.
    ///
    /// It is immediate: a deferred one that reads before it writes cannot upgrade when another process wrote in between,
    /// and no waiting helps it.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.writer()?.begin_with_options(options).await?)
    }

    /// The connection for a use case that is one statement.
    pub(crate) fn writer(&self) -> Result<&DatabaseConnection, StoreError> {
        self.writer.as_ref().ok_or(StoreError::ReadOnly)
    }
}

fn require_sqlite(url: &str) -> Result<(), StoreError> {
    if url.starts_with("sqlite:") {
        Ok(())
    } else {
        Err(StoreError::UnsupportedUrl)
    }
}

fn is_in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

fn writer_options(url: &str) -> ConnectOptions {
    let mut options = pool_options(url, 1);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .create_if_missing(true)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .pragma("journal_mode", "WAL")
            // A device sends its tokens once. NORMAL could lose the last commits at a power cut.
            .pragma("synchronous", "FULL")
    });
    options
}

fn reader_options(url: &str) -> ConnectOptions {
    let mut options = pool_options(url, READERS);
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .pragma("query_only", "ON")
    });
    options
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

/// True when a statement failed because a unique value is taken.
pub(crate) fn is_conflict(error: &DbErr) -> bool {
    matches!(
        error.sql_err(),
        Some(sea_orm::SqlErr::UniqueConstraintViolation(_))
    )
}
