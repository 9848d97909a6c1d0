//! Compiled components that are kept, and all that is not taken for one.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::fixture::{assembled, begin, host};
use lanyard_policy::Capability;
use lanyard_wasm::{Cache, CacheError, Grants, LoadError, Plugin, PluginHost, Room, Rooms, Terms};
use tempfile::TempDir;
use zeroize::Zeroizing;

/// A folder for caches, and whose key they have.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("plugin-cache")
    }

    /// A host of another start of the server that has this key.
    fn host(&self, key: u8) -> PluginHost {
        host().caching(Cache::open(&self.folder(), Zeroizing::new([key; 32])).unwrap())
    }

    async fn load(&self, plugin: &str) -> Plugin {
        self.host(1).load(assembled(plugin)).await.unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn file(&self) -> PathBuf {
        let [file] = &self.files()[..] else {
            panic!("one file is there: {:?}", self.files());
        };
        file.clone()
    }
}

#[tokio::test]
async fn what_was_compiled_is_found_by_the_next_start_and_answers_the_same() {
    let shelf = Shelf::new();
    let first = shelf.load("random").await;
    assert!(!first.was_cached());
    let second = shelf.load("random").await;
    assert!(second.was_cached());
    assert!(!shelf.load("verify").await.was_cached(), "another plugin");
    let mut said = Vec::new();
    for plugin in [first, second] {
        let directory = plugin.directory(Terms::new("test")).await.unwrap();
        said.push(begin(&directory).await.unwrap());
    }
    assert_eq!(said[0], said[1]);
    for file in shelf.files() {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&shelf.folder()), 0o700);
}

#[tokio::test]
async fn a_cached_plugin_is_checked_like_any() {
    let shelf = Shelf::new();
    shelf.load("verify").await;
    let cached = shelf.load("verify").await;
    assert!(cached.was_cached());
    let terms = Terms {
        grants: Grants::of([Capability::Log]),
        ..Terms::new("test")
    };
    assert_eq!(
        cached.directory(terms).await.unwrap_err(),
        LoadError::NotGranted {
            capability: "secrets",
            reason: None
        }
    );
}

#[tokio::test]
async fn what_was_kept_for_the_large_room_does_not_fit_the_ordinary_one() {
    let shelf = Shelf::new();
    let component = wat::parse_str(crate::room::TWO_MEMORIES).unwrap();
    for was_cached in [false, true] {
        let rooms = Rooms::from(shelf.host(1));
        let refusal = rooms.load(Room::Ordinary, component.clone()).await.err();
        assert!(matches!(refusal, Some(LoadError::NoRoom { .. })));
        let large = rooms.load(Room::Large, component.clone()).await.unwrap();
        assert_eq!(large.was_cached(), was_cached);
    }
}

#[tokio::test]
async fn a_file_that_is_not_as_it_was_written_is_compiled_again_and_replaced() {
    let shelf = Shelf::new();
    shelf.load("verify").await;
    let file = shelf.file();
    let whole = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        flipped
    };
    for damaged in [
        Vec::new(),
        whole[..20].to_vec(),
        whole[..32].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        [&whole[..], b"."].concat(),
        flipped(0),
        flipped(32),
        flipped(whole.len() / 2),
        flipped(whole.len() - 1),
        // What the engine itself would take for its own.
        whole[32..].to_vec(),
    ] {
        fs::write(&file, &damaged).unwrap();
        assert!(
            !shelf.load("verify").await.was_cached(),
            "{} bytes",
            damaged.len()
        );
        assert_eq!(fs::read(&file).unwrap().len(), whole.len());
        assert!(shelf.load("verify").await.was_cached());
    }
}

#[tokio::test]
async fn what_another_server_compiled_is_not_run() {
    let shelf = Shelf::new();
    shelf.load("verify").await;
    let foreign = shelf.host(2).load(assembled("verify")).await.unwrap();
    assert!(!foreign.was_cached());
}

#[tokio::test]
async fn one_plugin_under_the_name_of_another_is_not_run() {
    let shelf = Shelf::new();
    shelf.load("trap").await;
    let of_trap = shelf.file();
    shelf.load("verify").await;
    let files = shelf.files();
    let of_verify = files.iter().find(|file| **file != of_trap).unwrap();
    fs::copy(&of_trap, of_verify).unwrap();
    let plugin = shelf.load("verify").await;
    assert!(!plugin.was_cached());
    let directory = plugin.directory(Terms::new("test")).await.unwrap();
    begin(&directory).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_others_can_write_to_is_no_cache() {
    let shelf = Shelf::new();
    let open = || Cache::open(&shelf.folder(), Zeroizing::new([1; 32])).err();
    assert!(open().is_none());
    for exposed in [0o777, 0o720, 0o702, 0o750] {
        fs::set_permissions(shelf.folder(), Permissions::from_mode(exposed)).unwrap();
        let refused = open();
        assert!(
            matches!(&refused, Some(CacheError::Exposed { mode, .. }) if *mode == exposed),
            "{exposed:o}: {refused:?}"
        );
    }
    fs::remove_dir(shelf.folder()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), shelf.folder()).unwrap();
    assert!(matches!(open(), Some(CacheError::NoFolder { .. })));
    fs::remove_file(shelf.folder()).unwrap();
    File::create(shelf.folder()).unwrap();
    assert!(matches!(open(), Some(CacheError::NoFolder { .. })));
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room() {
    let shelf = Shelf::new();
    shelf.load("verify").await;
    let used = shelf.file();
    let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
    for age in 0..80 {
        let left_behind = File::create(shelf.folder().join(format!("{age}.cwasm"))).unwrap();
        let age = Duration::from_secs(age);
        left_behind.set_modified(long_ago - age).unwrap();
    }
    let forgotten = File::options().append(true).open(&used).unwrap();
    forgotten
        .set_modified(long_ago - Duration::from_secs(500))
        .unwrap();
    assert!(shelf.load("verify").await.was_cached(), "and is used again");
    shelf.load("random").await;
    let left = shelf.files();
    assert_eq!(left.len(), 64);
    assert!(left.contains(&used));
    for (age, stays) in [(0, true), (61, true), (62, false), (79, false)] {
        let file = shelf.folder().join(format!("{age}.cwasm"));
        assert_eq!(left.contains(&file), stays, "{age}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
