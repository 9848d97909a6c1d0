//! Backups of a running server: one tar archive with the database as it is at one moment, the configuration, and every file that the
//! configuration names. It holds the sealing keys, so that whoever has it *is* the server.
//!
//! Its last entry lists all others with their digests: an archive that was cut off has none.

mod archive;
mod restore;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use lanyard_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(crate) use archive::ArchiveBody;
pub(crate) use restore::restore;

use crate::{
    configuration::{Configuration, FILE},
    init::FOLDERS,
    keys::{Keys, KeysRefused},
    secrets::{self, FileError},
};

/// The form of the archive that this version writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// The last entry.
const MANIFEST: &str = "manifest.json";
/// Files of the data directory are below this in the archive.
const DATA: &str = "data";
/// Files that the configuration names elsewhere are below this, with their whole path.
const OUTSIDE: &str = "outside";
/// Where the database is copied to, in the data directory. Removed by the next backup, should a server be killed meanwhile.
const COPY: &str = "backup.tmp";

/// No backup is made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupRefused {
    /// Not ours to copy.
    #[error(
        "the database is PostgreSQL, which has its own tools: run pg_dump, and then `lanyard backup --without-database` for configuration and keys"
    )]
    Postgres,
    /// There is nothing that could be copied.
    #[error("the database lives in memory, and cannot be backed up")]
    InMemory,
    /// The keys, without which it would be worth nothing.
    #[error(transparent)]
    Keys(#[from] KeysRefused),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database.
    #[error("the database cannot be copied")]
    Store(#[from] StoreError),
}

/// What the archive says of itself.
#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// The version that made it.
    lanyard: String,
    /// Seconds since 1970.
    made_at: u64,
    /// The entry with the database; none where PostgreSQL has it.
    database: Option<String>,
    /// Entries of files outside of the data directory, by what the configuration calls them.
    outside: BTreeMap<PathBuf, String>,
    files: Vec<Listed>,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Listed {
    path: String,
    bytes: u64,
    /// Hex.
    sha256: String,
}

/// Makes backups. Clones are the same.
#[derive(Clone)]
pub(crate) struct Backups(Arc<Inner>);

struct Inner {
    configuration: Configuration,
    keys: Keys,
}

/// Everything that goes into one archive, except for the database in memory.
struct Contents {
    made_at: u64,
    outside: BTreeMap<PathBuf, String>,
    files: Files,
    database: Option<Copied>,
}

struct Copied {
    entry: String,
    file: fs::File,
}

impl Backups {
    pub(crate) fn new(configuration: Configuration, keys: Keys) -> Self {
        Self(Arc::new(Inner {
            configuration,
            keys,
        }))
    }

    /// Copies everything as it is now, and begins to send it.
    pub(crate) async fn make(
        &self,
        with_database: bool,
        now: SystemTime,
    ) -> Result<ArchiveBody, BackupRefused> {
        let configuration = &self.0.configuration;
        // Otherwise the database could come under a key that the archive has not.
        let _keys = self.0.keys.hold().await?;
        let database = if with_database {
            Some(self.copy_database().await?)
        } else {
            None
        };
        let (files, outside) = files(configuration)?;
        let contents = Contents {
            made_at: now
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            outside,
            files,
            database,
        };
        let entries = contents.files.len();
        tracing::info!(entries, with_database, "a backup is made");
        Ok(archive::send(contents))
    }

    async fn copy_database(&self) -> Result<Copied, BackupRefused> {
        let configuration = &self.0.configuration;
        let url = configuration.database_url();
        if !url.expose().starts_with("sqlite:") {
            return Err(BackupRefused::Postgres);
        }
        let file = (configuration.database_file()).ok_or(BackupRefused::InMemory)?;
        let folder = configuration.path(Path::new(COPY));
        let failed = |error| FileError::io(&folder, error);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(failed)?;
        }
        fs::create_dir(&folder).map_err(failed)?;
        let into = folder.join("database");
        let copied = Store::copy(url.expose(), &into).await;
        let opened = fs::File::open(&into);
        // What is open stays, and a server that is killed leaves nothing behind.
        fs::remove_dir_all(&folder).map_err(failed)?;
        copied?;
        Ok(Copied {
            entry: entry(configuration, &file)?,
            file: opened.map_err(failed)?,
        })
    }
}

type Files = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Configuration and keys by their place in the archive; and those of them that lie elsewhere, by their names in the configuration.
fn files(configuration: &Configuration) -> Result<(Files, BTreeMap<PathBuf, String>), FileError> {
    let mut all = configuration.clone();
    let mut paths: BTreeSet<PathBuf> = all
        .files_mut()
        .into_iter()
        .map(|path| path.clone())
        .collect();
    paths.insert(FILE.into());
    // Whether they are named or not: the key of the server's own root is not.
    for name in FOLDERS {
        let folder = configuration.path(Path::new(name));
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for found in entries {
            let found = found.map_err(|error| FileError::io(&folder, error))?;
            if found.path().is_file() {
                paths.insert(Path::new(name).join(found.file_name()));
            }
        }
    }
    let (mut files, mut outside) = (Files::new(), BTreeMap::new());
    for path in paths {
        let entry = entry(configuration, &path)?;
        let content = secrets::read(&configuration.path(&path))?;
        files.insert(entry.clone(), Zeroizing::new(content));
        if entry.starts_with(OUTSIDE) {
            outside.insert(path, entry);
        }
    }
    Ok((files, outside))
}

/// A file's place in the archive.
fn entry(configuration: &Configuration, path: &Path) -> Result<String, FileError> {
    let plain = |path: &Path| {
        std::path::absolute(path)
            .map(|path| without_detours(&path))
            .map_err(|error| FileError::io(path, error))
    };
    let file = plain(&configuration.path(path))?;
    let data = plain(&configuration.path(Path::new("")))?;
    let (top, below) = match file.strip_prefix(&data) {
        Ok(below) => (DATA, below),
        Err(_) => (OUTSIDE, file.strip_prefix("/").unwrap_or(&file)),
    };
    let below = below.to_str().ok_or_else(|| {
        FileError::content(&file, &"its name is not UTF-8, which an archive's must be")
    })?;
    Ok(format!("{top}/{below}"))
}

/// The path without `.` and `..`.
fn without_detours(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_place_in_the_archive() {
        let toml = "[server]\nname = \"localhost\"\nlisten = \"127.0.0.1:1\"\n";
        let data = Path::new("/srv/lanyard");
        let configuration = Configuration::parse(toml, FILE, data, std::iter::empty()).unwrap();
        for (path, expected) in [
            ("sealing.key", "data/sealing.key"),
            ("./server/../tls.key", "data/tls.key"),
            ("../push.pem", "outside/srv/push.pem"),
            ("/etc/lanyard/push.pem", "outside/etc/lanyard/push.pem"),
            ("/srv/lanyard/push.pem", "data/push.pem"),
            ("/srv/lanyard-2/push.pem", "outside/srv/lanyard-2/push.pem"),
        ] {
            let found = entry(&configuration, Path::new(path)).unwrap();
            assert_eq!(found, expected, "{path}");
        }
    }
}
