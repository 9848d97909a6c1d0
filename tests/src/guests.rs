//! Plugins as components, compiled when a test first asks for one.

use std::collections::HashMap;
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

/// Cargo does nothing if the component is current, and waits its turn if another test process is building it.
fn build(package: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("guests");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&root)
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
