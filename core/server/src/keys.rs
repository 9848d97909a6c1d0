//! The ring of sealing keys of a running server: its file, the files that it seals, and its keys' way from spare to current to retired.
//!
//! The file has one key a line, the oldest first. Which one is current, the database says, so that all nodes say the same: the keys
//! below it are spare, those above it older.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use lanyard_engine::ErrorChain;
use lanyard_pki::seal::{KeyId, KeyRing, SealingKey, sealed_with};
use lanyard_store::{Resealing, Store, StoreError};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    configuration::Configuration,
    init::FOLDERS,
    secrets::{self, FileError},
};

/// How often the file is looked at: another node's operator may have copied a key into it.
const LOOK: Duration = Duration::from_secs(5);
/// How long after a rotation something may still be sealed with the key before: until every node has noticed, and what was under way
/// then is done.
const SETTLED: Duration = Duration::from_secs(60);
/// How many values one step of a pass looks at.
const STEP: u64 = 1_000;

/// The keys are not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysRefused {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Another node would meet values that it cannot open.
    #[error(
        "there is no spare key, and every node on this database needs it before it is used: `lanyard keys add`, copy {0} to the other nodes, then `lanyard keys rotate`"
    )]
    NoSpare(String),
    /// No such key.
    #[error("there is no sealing key {0}; `lanyard keys list` shows them")]
    Unknown(KeyId),
    /// It is in use.
    #[error("{0} is the current key: `lanyard keys rotate` makes another one current first")]
    Current(KeyId),
    /// It may still be needed for what is under way.
    #[error(
        "{0} may still be needed for {1} minutes: challenges that it vouches for were given to devices before the rotation"
    )]
    TooSoon(KeyId, u64),
    /// It is still needed for what waits.
    #[error(
        "{0} vouches for the challenges of certificate requests that have waited for a person since before the rotation: `lanyard approvals list`, and answer them"
    )]
    Waited(KeyId),
    /// The file is not the one that it was.
    #[error(
        "{0} lacks the key {1}, with which the database is sealed: put it back, or the server cannot start again"
    )]
    Lost(String, KeyId),
    /// Something is sealed with it.
    #[error("{0} still seals {1}: nobody could open that any more")]
    Used(KeyId, String),
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Opens what it sealed.
    Older,
    /// Seals.
    Current,
    /// Was not used yet.
    Spare,
}

/// A key, and what is sealed with it.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Listed {
    /// Its id.
    pub(crate) id: String,
    /// Where it stands.
    pub(crate) state: State,
    /// Values in the database.
    pub(crate) values: u64,
    /// Files with private keys, on this node.
    pub(crate) files: Vec<String>,
}

/// The sealing keys. Clones are the same.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Inner>);

struct Inner {
    file: PathBuf,
    /// Files of which some are private keys that are sealed.
    named: Vec<PathBuf>,
    /// Folders in which there are more of them: the key of the server's own root, and those of another `scep.mode`.
    folders: [PathBuf; 2],
    store: Store,
    /// Whether other nodes may use the database.
    is_shared: bool,
    /// How long a challenge is good.
    challenge: Duration,
    /// One change at a time, and none while a backup is made.
    changing: Mutex<()>,
}

impl Keys {
    pub(crate) fn new(configuration: &Configuration, store: Store, challenge: Duration) -> Self {
        let mut all = configuration.clone();
        let named = all.files_mut().into_iter();
        let named = named.map(|file| configuration.path(file)).collect();
        let folders = FOLDERS.map(|folder| configuration.path(Path::new(folder)));
        Self(Arc::new(Inner {
            file: configuration.path(&configuration.server.sealing_key),
            named,
            folders,
            store,
            is_shared: !configuration.database_url().expose().starts_with("sqlite:"),
            challenge,
            changing: Mutex::new(()),
        }))
    }

    /// Follows the file, and seals the files with private keys anew after a rotation. Never ends.
    pub(crate) async fn keep_files(&self) {
        loop {
            if let Err(error) = self.look_at_files().await {
                tracing::error!(error = %ErrorChain(&error), "the sealing keys cannot be followed");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every key, the oldest first, with what it seals.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, KeysRefused> {
        let ring = self.ring();
        let values = self.0.store.sealed().await?;
        let current = ring.current();
        let ids = ring.ids();
        let place = ids.iter().position(|id| *id == current);
        let listed = ids.iter().enumerate().map(|(index, id)| {
            Ok(Listed {
                id: id.to_string(),
                state: match place.map(|place| index.cmp(&place)) {
                    Some(std::cmp::Ordering::Less) => State::Older,
                    Some(std::cmp::Ordering::Greater) => State::Spare,
                    _ => State::Current,
                },
                values: values.get(id).copied().unwrap_or_default(),
                files: self.files_of(*id)?,
            })
        });
        listed.collect()
    }

    /// Writes a new key below the others, to be used by the next rotation.
    pub(crate) async fn add(&self) -> Result<KeyId, KeysRefused> {
        let _alone = self.0.changing.lock().await;
        self.add_spare()
    }

    /// Makes the newest key current. Where no other node needs it first, it is made.
    pub(crate) async fn rotate(&self, now: SystemTime) -> Result<KeyId, KeysRefused> {
        let _alone = self.0.changing.lock().await;
        self.follow_file()?;
        let newest = self.ring().ids().last().copied();
        let next = match newest.filter(|id| *id != self.ring().current()) {
            Some(spare) => spare,
            None if self.0.is_shared => {
                return Err(KeysRefused::NoSpare(self.0.file.display().to_string()));
            }
            None => self.add_spare()?,
        };
        self.0.store.rotate_sealing_key(next, now).await?;
        tracing::info!(key = %next, "the sealing key was rotated");
        // The rotation stands; the next look at the files tries again.
        if let Err(error) = self.reseal_files() {
            tracing::error!(error = %ErrorChain(&error), "a private key is not sealed anew");
        }
        Ok(next)
    }

    /// Removes a key, once nothing needs it.
    pub(crate) async fn retire(&self, id: KeyId, now: SystemTime) -> Result<(), KeysRefused> {
        let _alone = self.0.changing.lock().await;
        self.follow_file()?;
        let store = &self.0.store;
        store.follow_sealing_key().await?;
        if self.ring().key(id).is_none() {
            return Err(KeysRefused::Unknown(id));
        }
        if self.ring().current() == id {
            return Err(KeysRefused::Current(id));
        }
        if let Some(rotated) = store.sealing_key_rotated_at().await? {
            let free = rotated + self.0.challenge.max(SETTLED) + SETTLED;
            if let Ok(left) = free.duration_since(now) {
                return Err(KeysRefused::TooSoon(id, left.as_secs().div_ceil(60)));
            }
            if store.requests_wait_from_before(rotated + SETTLED).await? {
                return Err(KeysRefused::Waited(id));
            }
        }
        // The pass of the rotation may have missed what another node sealed before it noticed.
        let mut pass = Resealing::default();
        while !pass.is_over() {
            store.reseal(&mut pass, STEP).await?;
        }
        self.reseal_files()?;
        let values = store.sealed().await?.get(&id).copied().unwrap_or_default();
        if values > 0 {
            return Err(KeysRefused::Used(
                id,
                format!("{values} values in the database"),
            ));
        }
        if let Some(file) = self.files_of(id)?.pop() {
            return Err(KeysRefused::Used(id, file));
        }
        let text = secrets::sealing_keys_text(&self.0.file)?;
        secrets::replace_secret(&self.0.file, KeyRing::text_without(&text, id).as_bytes())?;
        self.follow_file()?;
        tracing::info!(key = %id, "a sealing key was retired");
        Ok(())
    }

    /// Keeps the keys as they are until the guard is dropped; the file has the current one.
    pub(crate) async fn hold(&self) -> Result<MutexGuard<'_, ()>, KeysRefused> {
        let alone = self.0.changing.lock().await;
        self.follow_file()?;
        Ok(alone)
    }

    /// The keys themselves.
    pub(crate) fn ring(&self) -> &KeyRing {
        self.0.store.key_ring()
    }

    async fn look_at_files(&self) -> Result<(), KeysRefused> {
        let _alone = self.0.changing.lock().await;
        self.follow_file()?;
        self.reseal_files()
    }

    fn follow_file(&self) -> Result<(), KeysRefused> {
        let file = secrets::key_ring(&self.0.file)?;
        if file.ids() != self.ring().ids() {
            self.ring().take_over(&file);
        }
        let current = self.ring().current();
        match file.key(current) {
            Some(_) => Ok(()),
            None => Err(KeysRefused::Lost(
                self.0.file.display().to_string(),
                current,
            )),
        }
    }

    fn add_spare(&self) -> Result<KeyId, KeysRefused> {
        let key = SealingKey::generate();
        let text = secrets::sealing_keys_text(&self.0.file)?;
        secrets::replace_secret(&self.0.file, KeyRing::text_with(&text, &key).as_bytes())?;
        self.follow_file()?;
        Ok(key.id())
    }

    fn reseal_files(&self) -> Result<(), KeysRefused> {
        for (file, _) in self.sealed_files()? {
            if secrets::reseal_file(&file, self.ring())? {
                tracing::info!(file = %file.display(), key = %self.ring().current(), "sealed with the current key");
            }
        }
        Ok(())
    }

    fn files_of(&self, id: KeyId) -> Result<Vec<String>, KeysRefused> {
        let files = self.sealed_files()?.into_iter();
        let sealed = files.filter(|(_, sealed_with)| *sealed_with == id);
        Ok(sealed.map(|(file, _)| file.display().to_string()).collect())
    }

    /// Files of this node that a key of the ring sealed, and which key that is.
    fn sealed_files(&self) -> Result<BTreeMap<PathBuf, KeyId>, KeysRefused> {
        let mut files: BTreeSet<PathBuf> = self.0.named.iter().cloned().collect();
        for folder in &self.0.folders {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            files.extend(
                entries
                    .map(|entry| entry.path())
                    .filter(|path| path.is_file()),
            );
        }
        let ids = self.ring().ids();
        let mut sealed = BTreeMap::new();
        for file in files {
            let sealed_with = sealed_with(&secrets::read(&file)?);
            if let Some(id) = sealed_with.filter(|id| ids.contains(id)) {
                sealed.insert(file, id);
            }
        }
        Ok(sealed)
    }
}
