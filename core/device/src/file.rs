//! Files that others read while they are written: always the old one or the new one, never half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const OWNER: u32 = 0o600;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    All,
    /// The owner: the file has a private key or a token in it.
    Owner,
}

/// Writes a file beside its destination and renames it into place.
///
/// # Errors
/// Those of the file system.
pub fn replace(path: &Path, contents: &[u8], readers: Readers) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = Path::new(&beside);
    let mode = match readers {
        Readers::All => 0o644,
        Readers::Owner => OWNER,
    };
    let written = create(beside, mode).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()
    });
    match written.and_then(|()| fs::rename(beside, path)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // The error that matters is the first one.
            let _ = fs::remove_file(beside);
            Err(error)
        }
    }
}

/// Opens a file to append to, made if there is none, that only the owner can read.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(OWNER)
        .open(path)
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
}
