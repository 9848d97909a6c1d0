//! Compiled components, kept for the next start. What is kept is native code, and runs with all that the server may do; so it is
//! loaded only as this server wrote it: from a folder of its own, under a tag that only its key makes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;
use zeroize::Zeroizing;

/// Files that are kept; the one that was not used for longest goes first, and with it what other engines left behind.
const FILES: usize = 64;
/// What they may have together, in bytes: a plugin of ordinary size takes a few hundred kilobytes, one with an interpreter fifty
/// megabytes.
const BYTES: u64 = 512 << 20;
/// The tag before the code, in bytes.
const TAG: usize = 32;

/// A folder of compiled components.
pub struct Cache {
    folder: Arc<Path>,
    key: Arc<Zeroizing<[u8; 32]>>,
}

/// A folder is not used as a cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system says no.
    #[error("{folder} cannot be made or looked at")]
    Io {
        /// The folder.
        folder: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// There is something else in its place: a file, or a link to elsewhere.
    #[error("{folder} is no folder; remove it, and it is made")]
    NoFolder {
        /// What should be one.
        folder: String,
    },
    /// Somebody else could put native code into it.
    #[error(
        "{folder} is not this user's alone (owner {owner}, mode {mode:o}); it should be a folder of user {user} with mode 700"
    )]
    Exposed {
        /// The folder.
        folder: String,
        /// Its owner's id.
        owner: u32,
        /// Its permissions.
        mode: u32,
        /// Who we are.
        user: u32,
    },
}

impl Cache {
    /// A cache in this folder, which is made if it is not there. `key` authenticates what is kept: what was written under another key
    /// is as good as not there.
    ///
    /// # Errors
    /// [`CacheError`]: others could write to it.
    pub fn open(folder: &Path, key: Zeroizing<[u8; 32]>) -> Result<Self, CacheError> {
        let shown = || folder.display().to_string();
        let made = DirBuilder::new().mode(0o700).create(folder);
        let found = match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            // Not what a link leads to: that may be anybody's.
            _ => fs::symlink_metadata(folder),
        };
        let found = found.map_err(|error| CacheError::Io {
            folder: shown(),
            error,
        })?;
        if !found.is_dir() {
            return Err(CacheError::NoFolder { folder: shown() });
        }
        let user = rustix::process::geteuid().as_raw();
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        if owner != user || mode & 0o077 != 0 {
            return Err(CacheError::Exposed {
                folder: shown(),
                owner,
                mode,
                user,
            });
        }
        Ok(Self {
            folder: folder.into(),
            key: Arc::new(key),
        })
    }

    /// Where the component with this digest is, as this engine compiles it.
    pub(crate) fn place(&self, engine: &Engine, sha256: &str) -> Place {
        Place {
            folder: Arc::clone(&self.folder),
            key: Arc::clone(&self.key),
            name: format!("{sha256}-{:016x}.cwasm", compatibility(engine)),
        }
    }
}

/// What the machine code depends upon: version and settings of the engine, and the processor. The engine compares it once more when
/// it loads.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Where one component is kept, for one engine.
pub(crate) struct Place {
    folder: Arc<Path>,
    key: Arc<Zeroizing<[u8; 32]>>,
    name: String,
}

impl Place {
    /// What was kept here, if it is as it was.
    pub(crate) fn find(&self, engine: &Engine) -> Option<Component> {
        let path = self.path();
        let kept = match fs::read(&path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a compiled plugin cannot be read and is compiled again");
                return None;
            }
        };
        let Some(code) = self.authentic(&kept) else {
            tracing::warn!(file = %path.display(), "a compiled plugin is not as it was written and is compiled again");
            return None;
        };
        // What does not fit into this engine's room is told when it is compiled.
        let component = deserialize(engine, code).ok()?;
        self.touch(&path);
        Some(component)
    }

    /// Keeps a component. It is not worth failing over: it can be compiled again.
    pub(crate) fn keep(&self, component: &Component) {
        let written = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(&code))
            .and_then(|()| self.tidy());
        if let Err(error) = written {
            tracing::warn!(folder = %self.folder.display(), %error, "a compiled plugin cannot be kept");
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// The code behind the tag, if the tag is that of this code in this place: under another name it would be another plugin's.
    fn authentic<'a>(&self, kept: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, code) = kept.split_at_checked(TAG)?;
        self.mac(code).verify_slice(tag).ok().map(|()| code)
    }

    fn mac(&self, code: &[u8]) -> Hmac<Sha256> {
        // A name has always the same length, so that nothing can move between it and the code.
        Hmac::<Sha256>::new_from_slice(&**self.key)
            .expect("HMAC takes keys of any length")
            .chain_update(&self.name)
            .chain_update(code)
    }

    /// Under another name first: a file of this name is always whole.
    fn write(&self, code: &[u8]) -> io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
        let unfinished = self
            .folder
            .join(format!("{}.{process}.{number}", self.name));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| {
                file.write_all(&self.mac(code).finalize().into_bytes())?;
                file.write_all(code)
            })
            .and_then(|()| fs::rename(&unfinished, self.path()));
        if written.is_err() {
            // What could not be written may be what fills the disk.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Marks it as used just now.
    fn touch(&self, path: &Path) {
        let touched = OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(file = %path.display(), %error, "a compiled plugin counts as unused");
        }
    }

    /// Removes what was not used for longest, beyond so many files and bytes.
    fn tidy(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            files.push((metadata.modified()?, entry.path(), metadata.len()));
        }
        files.sort_unstable();
        let mut bytes = 0_u64;
        for (at, (_, path, length)) in files.iter().rev().enumerate() {
            bytes = bytes.saturating_add(*length);
            if at >= FILES || bytes > BYTES {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Native code from octets; of all the workspace, the one function that the compiler cannot vouch for.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` must be what `Component::serialize` gave. It stood behind a tag over it and its name (`Place::authentic`) that only
    // `Place::write` makes, from just that, under a key that this server keeps to itself; and it is in our memory, where nobody changes
    // it. That it fits version, settings and processor is in the name, and the engine checks it.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use wasmtime::Config;

    use super::*;

    #[test]
    fn another_engine_has_another_place() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache"), Zeroizing::new([1; 32])).unwrap();
        let name = |config: &Config| cache.place(&Engine::new(config).unwrap(), "00").name;
        let plain = name(&Config::new());
        assert_eq!(plain, name(&Config::new()));
        assert_ne!(plain, name(Config::new().consume_fuel(true)));
        assert_ne!(plain, name(Config::new().wasm_relaxed_simd(false)));
    }
}
