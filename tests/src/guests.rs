//! Plugins as components, compiled when a test first asks for one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What a surrounding build sets for the host's target, and would break or needlessly rebuild one for wasm32-wasip2.
const HOST_BUILD_VARIABLES: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LLVM_PROFILE_FILE",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// Path of the component that a package of this workspace makes: `guest-directory` (a directory with one person, `ada`, whose password
/// is `correct horse`, and with names that trap, spin and sleep), `example-event`, …
///
/// # Panics
/// If it does not build, with what cargo said.
pub fn component(package: &str) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(known) = built.get(package) {
        return known.clone();
    }
    let component = build(package);
    built.insert(package.to_owned(), component.clone());
    component
}

/// Path of the component that the example in JavaScript makes. It is built when its sources are others than last time, and its packages are
/// fetched when its lock file is another.
///
/// # Panics
/// If it does not build, with what npm said.
pub fn javascript() -> PathBuf {
    const NAME: &str = "javascript-directory";
    static BUILDING: Mutex<()> = Mutex::new(());
    let _here = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    // Not beside its sources, where a build would leave its packages.
    let folder = target().join(NAME);
    let (packages, component) = (folder.join("node_modules"), folder.join("component.wasm"));
    fs::create_dir_all(&folder).unwrap_or_else(failed(&folder));
    // Another test process may be at it.
    let elsewhere = File::create(folder.with_extension("lock")).unwrap_or_else(failed(&folder));
    elsewhere.lock().unwrap_or_else(failed(&folder));

    let example = root().join("examples").join(NAME);
    let lock = "package-lock.json";
    let same_packages = fs::read(folder.join(lock)).ok() == fs::read(example.join(lock)).ok();
    let changed = copy(&example, &folder).unwrap_or_else(failed(&folder));
    if !same_packages || !packages.exists() {
        npm(&folder, &["ci", "--no-audit", "--no-fund"]);
    }
    if changed || !component.exists() {
        // Under its name only when it is whole: an interrupted build is no build.
        let _ = fs::remove_file(&component);
        npm(&folder, &["run", "build"]);
        fs::rename(folder.join(format!("{NAME}.wasm")), &component).unwrap_or_else(failed(&folder));
    }
    component
}

/// What to do when something in this folder does not work.
fn failed<T>(folder: &Path) -> impl FnOnce(io::Error) -> T {
    move |error| panic!("{}: {error}", folder.display())
}

fn npm(folder: &Path, arguments: &[&str]) {
    let run = Command::new("npm")
        .current_dir(folder)
        .args(arguments)
        .output();
    let output = run.unwrap_or_else(|error| panic!("npm could not be started: {error}"));
    assert!(
        output.status.success(),
        "npm {} in {}:\n{}{}",
        arguments.join(" "),
        folder.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Copies what is not made by a build, and says whether anything was not there as it is; links become what they lead to.
fn copy(from: &Path, to: &Path) -> io::Result<bool> {
    let mut changed = false;
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (name, path) = entry.map(|entry| (entry.file_name(), entry.path()))?;
        let there = to.join(&name);
        if name == "node_modules" || path.extension().is_some_and(|kind| kind == "wasm") {
            continue;
        }
        if path.is_dir() {
            changed |= copy(&path, &there)?;
        } else {
            let content = fs::read(&path)?;
            if fs::read(&there).ok().as_ref() != Some(&content) {
                fs::write(&there, content)?;
                changed = true;
            }
        }
    }
    Ok(changed)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), PathBuf::from)
        .join("guests")
}

/// Cargo does nothing if the component is current, and waits its turn if another test process is building it.
fn build(package: &str) -> PathBuf {
    let target = target();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root())
        .args(["build", "--quiet", "--locked", "--package", package])
        .args(["--profile", "guest", "--target", "wasm32-wasip2"])
        .arg("--target-dir")
        .arg(&target);
    for variable in HOST_BUILD_VARIABLES {
        cargo.env_remove(variable);
    }
    let output = cargo
        .output()
        .unwrap_or_else(|error| panic!("cargo could not be started to build a plugin: {error}"));
    assert!(
        output.status.success(),
        "the plugin {package} does not build (is the target there? `rustup target add wasm32-wasip2`):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let file = format!("{}.wasm", package.replace('-', "_"));
    target.join("wasm32-wasip2/guest").join(file)
}
