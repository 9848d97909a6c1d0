//! `lanyard restore`: a data directory out of a backup, once everything in it was looked at.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use lanyard_store::{Store, StoreError};
use tar::{Archive, EntryType};

use super::{DATA, FORMAT, Listed, MANIFEST, Manifest, OUTSIDE, archive::Hashed};
use crate::{
    assembly::{AssemblyError, check_files, named},
    configuration::{Configuration, ConfigurationError},
    init::{self, InitError},
    secrets, serve,
};

/// A list of a backup's files is at most this large, in bytes.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// Nothing is restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// Where it is to go.
    #[error(transparent)]
    Place(#[from] InitError),
    /// Reading or writing.
    #[error("the backup cannot be read, or {0} not be written")]
    Io(String, #[source] io::Error),
    /// Not a backup, or not all of it.
    #[error("this is no whole backup of this version: {0}; nothing was restored")]
    Damaged(String),
    /// What is in it does not fit together.
    #[error("a server could not start from this backup; nothing was restored")]
    Configuration(#[from] ConfigurationError),
    /// The same.
    #[error("a server could not start from this backup; nothing was restored")]
    Files(#[from] AssemblyError),
    /// The same.
    #[error("the database in this backup cannot be used; nothing was restored")]
    Database(#[from] StoreError),
    /// The same.
    #[error(
        "the backup lacks a key with which {0} values in its database are sealed; nothing was restored"
    )]
    LacksKey(u64),
}

/// What an operator is told of a restored server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// When the backup was made, seconds since 1970.
    pub(crate) made_at: u64,
    /// How many files.
    pub(crate) files: usize,
    /// Whether the database was in it.
    pub(crate) has_database: bool,
    /// Files that the configuration names outside of the data directory, and where they are now.
    pub(crate) outside: Vec<(PathBuf, PathBuf)>,
}

/// Unpacks a backup beside the data directory, looks whether digests are right, keys open what they should and are those of their
/// certificates, and then renames it: there is all of it or nothing.
pub(crate) async fn restore(backup: impl Read, data: &Path) -> Result<Restored, RestoreError> {
    let unfinished = init::beside(data)?;
    let folder = unfinished.path();
    let manifest = unpack(backup, folder)?;
    check(folder, &manifest).await?;
    fs::rename(folder, data).map_err(|error| failed(data, error))?;
    Ok(Restored {
        made_at: manifest.made_at,
        files: manifest.files.len(),
        has_database: manifest.database.is_some(),
        outside: (manifest.outside.into_iter())
            .map(|(named, kept)| (named, data.join(kept)))
            .collect(),
    })
}

fn failed(file: &Path, error: io::Error) -> RestoreError {
    RestoreError::Io(file.display().to_string(), error)
}

fn damaged(what: impl Into<String>) -> RestoreError {
    RestoreError::Damaged(what.into())
}

fn unpack(backup: impl Read, folder: &Path) -> Result<Manifest, RestoreError> {
    let unreadable = |error| failed(folder, error);
    let mut archive = Archive::new(backup);
    let mut found = Vec::new();
    for each in archive.entries().map_err(unreadable)? {
        let mut each = each.map_err(unreadable)?;
        let path = each.path().map_err(unreadable)?.into_owned();
        let name = path.display().to_string();
        if each.header().entry_type() != EntryType::Regular {
            return Err(damaged(format!("{name} in it is no file")));
        }
        if name == MANIFEST {
            let mut text = Vec::new();
            let mut bounded = each.take(MANIFEST_LIMIT);
            bounded.read_to_end(&mut text).map_err(unreadable)?;
            return listed(&text, &found);
        }
        let below = place(&path).ok_or_else(|| damaged(format!("{name} in it has no place")))?;
        let file = folder.join(below);
        let mut content = Hashed::new(&mut each);
        let bytes = put(&mut content, &file).map_err(|error| failed(&file, error))?;
        found.push(Listed {
            path: name,
            bytes,
            sha256: content.finish(),
        });
    }
    Err(damaged("it was cut off, for it has no list of its files"))
}

/// What the archive says of itself, if that is what was found.
fn listed(text: &[u8], found: &[Listed]) -> Result<Manifest, RestoreError> {
    let manifest: Manifest =
        serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(damaged(format!("it has format {}", manifest.format)));
    }
    for (expected, found) in manifest.files.iter().zip(found) {
        if expected != found {
            return Err(damaged(format!("{} was changed", expected.path)));
        }
    }
    if manifest.files.len() != found.len() {
        return Err(damaged("files were added or are missing"));
    }
    Ok(manifest)
}

/// Where an entry goes, below the data directory.
fn place(path: &Path) -> Option<PathBuf> {
    let plain = (path.components()).all(|part| matches!(part, Component::Normal(_)));
    let below = match path.strip_prefix(DATA) {
        Ok(below) => below,
        Err(_) if path.starts_with(OUTSIDE) => path,
        Err(_) => return None,
    };
    (plain && below.components().next().is_some()).then(|| below.to_owned())
}

fn put(content: &mut impl Read, file: &Path) -> io::Result<u64> {
    if let Some(folder) = file.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
    }
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let bytes = io::copy(content, &mut written)?;
    written.sync_all()?;
    Ok(bytes)
}

/// Looks at what was unpacked as a server does that starts. Files that lie elsewhere are taken from where the backup has them.
async fn check(folder: &Path, manifest: &Manifest) -> Result<(), RestoreError> {
    let mut configuration = Configuration::load(folder)?;
    for path in configuration.files_mut() {
        if let Some(kept) = manifest.outside.get(&*path) {
            *path = kept.into();
        }
    }
    let sealing = secrets::key_ring(&configuration.path(&configuration.server.sealing_key))
        .map_err(named("server.sealing_key"))?;
    check_files(&configuration, &sealing)?;
    serve::tls_acceptor(&configuration)?;
    if let Some(database) = manifest.database.as_deref().map(Path::new) {
        let file = place(database).ok_or_else(|| damaged("its database has no place"))?;
        // Not where the configuration says, which may be another server's.
        let url = format!("sqlite://{}", folder.join(file).display());
        let store = Store::connect(&url, sealing.clone()).await?;
        let known = sealing.ids();
        let sealed = store.sealed().await?;
        store.close().await?;
        let foreign = sealed.iter().filter(|(id, _)| !known.contains(id));
        let values: u64 = foreign.map(|(_, values)| values).sum();
        if values > 0 {
            return Err(RestoreError::LacksKey(values));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_below_the_data_directory_and_nowhere_else() {
        for (entry, expected) in [
            ("data/sealing.key", Some("sealing.key")),
            ("data/server/tls.pem", Some("server/tls.pem")),
            ("outside/etc/push.pem", Some("outside/etc/push.pem")),
            ("data", None),
            ("data/../x", None),
            ("data/server/../../x", None),
            ("/data/x", None),
            ("database/x", None),
        ] {
            let found = place(Path::new(entry));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{entry}");
        }
    }
}
