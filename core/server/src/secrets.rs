//! Files with keys: the sealing keys, and the private keys that they seal.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use lanyard_pki::{
    Certificate, PrivateKey,
    seal::{KeyRing, SealError, SealingKey, sealed_with},
};
use zeroize::Zeroizing;

/// A file with a key or a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system says no.
    #[error("{file} cannot be read or written")]
    Io {
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// Others than its owner may read it.
    #[error("{file}: others than its owner may read it (mode {mode:o}); `chmod 600 {file}`")]
    Exposed {
        /// The file.
        file: String,
        /// Its permissions.
        mode: u32,
    },
    /// Not what is expected in it.
    #[error("{file}: {reason}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
}

impl FileError {
    pub(crate) fn io(file: &Path, error: io::Error) -> Self {
        Self::Io {
            file: file.display().to_string(),
            error,
        }
    }

    pub(crate) fn content(file: &Path, reason: &dyn std::fmt::Display) -> Self {
        Self::Content {
            file: file.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Reads a file that may be public.
///
/// # Errors
/// [`FileError::Io`]
pub fn read(file: &Path) -> Result<Vec<u8>, FileError> {
    fs::read(file).map_err(|error| FileError::io(file, error))
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// [`FileError`]
pub fn read_secret(file: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mode = fs::metadata(file)
        .map_err(|error| FileError::io(file, error))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed {
            file: file.display().to_string(),
            mode,
        });
    }
    read(file).map(Zeroizing::new)
}

/// Writes a file that only its owner can read, and that is not there yet.
///
/// # Errors
/// [`FileError::Io`]
pub fn write_secret(file: &Path, content: &[u8]) -> Result<(), FileError> {
    write_new(file, content, 0o600)
}

/// Writes a file that everybody can read, and that is not there yet.
///
/// # Errors
/// [`FileError::Io`]
pub fn write_public(file: &Path, content: &[u8]) -> Result<(), FileError> {
    write_new(file, content, 0o644)
}

fn write_new(file: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(file)
        .and_then(|mut opened| {
            opened.write_all(content)?;
            opened.sync_all()
        })
        .map_err(|error| FileError::io(file, error))
}

/// Puts a file that only its owner can read in the place of another: at each moment, also of a crash, there is one or the other. A link
/// stays, and leads to the new content.
///
/// # Errors
/// [`FileError::Io`]
pub fn replace_secret(file: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = |error| FileError::io(file, error);
    let target = fs::canonicalize(file).map_err(failed)?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    // The builder's own permissions: 0600.
    let mut written = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    written.write_all(content).map_err(failed)?;
    written.as_file().sync_all().map_err(failed)?;
    (written.persist(&target)).map_err(|error| failed(error.error))?;
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

/// The text of the file with the sealing keys.
///
/// # Errors
/// [`FileError`]
pub fn sealing_keys_text(file: &Path) -> Result<Zeroizing<String>, FileError> {
    let text = read_secret(file)?;
    let text = std::str::from_utf8(&text).map_err(|error| FileError::content(file, &error))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Reads the sealing keys, one a line.
///
/// # Errors
/// [`FileError`]
pub fn key_ring(file: &Path) -> Result<KeyRing, FileError> {
    KeyRing::from_text(&sealing_keys_text(file)?).map_err(|error| FileError::content(file, &error))
}

/// Reads a private key: sealed, as `lanyard init` writes it, or PEM, as other tools do.
///
/// # Errors
/// [`FileError`]
pub fn private_key(file: &Path, sealing: &KeyRing) -> Result<PrivateKey, FileError> {
    let content = read_secret(file)?;
    if content.starts_with(b"-----BEGIN") {
        return PrivateKey::from_pem(&content).map_err(|error| FileError::content(file, &error));
    }
    let opened = open(file, &content, sealing)?;
    PrivateKey::from_pkcs8(&opened).map_err(|error| FileError::content(file, &error))
}

/// Seals a file with a private key anew, if another key than the current one sealed it; whether it did.
///
/// # Errors
/// [`FileError`]
pub fn reseal_file(file: &Path, sealing: &KeyRing) -> Result<bool, FileError> {
    let content = read_secret(file)?;
    let is_older = sealed_with(&content).is_some_and(|id| id != sealing.current());
    if is_older {
        let opened = open(file, &content, sealing)?;
        replace_secret(file, &sealing.seal(&context(file), &opened))?;
    }
    Ok(is_older)
}

fn open(file: &Path, content: &[u8], sealing: &KeyRing) -> Result<Zeroizing<Vec<u8>>, FileError> {
    sealing
        .open(&context(file), content)
        .map_err(|error: SealError| FileError::content(file, &error))
}

/// Writes a private key, sealed.
///
/// # Errors
/// [`FileError`]
pub fn write_private_key(
    file: &Path,
    key: &PrivateKey,
    sealing: &SealingKey,
) -> Result<(), FileError> {
    let der = key
        .to_pkcs8()
        .map_err(|error| FileError::content(file, &error))?;
    write_secret(file, &sealing.seal(&context(file), &der))
}

/// Reads the certificates of a PEM file; the first is the one that the file is about.
///
/// # Errors
/// [`FileError`]
pub fn certificates(file: &Path) -> Result<(Certificate, Vec<Certificate>), FileError> {
    let mut all = Certificate::many_from_pem(&read(file)?)
        .map_err(|error| FileError::content(file, &error))?;
    let first = all.remove(0);
    Ok((first, all))
}

/// A sealed key opens under its own file name only.
fn context(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("file/{name}")
}
