//! Plugins for tests, compiled from `tests/guests/` when a test first asks for one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// Path of the component that `tests/guests/directory` describes: a directory with one person, `ada`, whose password is
/// `correct horse`, and with names that trap, spin and sleep.
///
/// # Panics
/// If it does not build, with what cargo said.
pub fn directory() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| build("directory", "directory_guest.wasm"))
        .clone()
}

/// Cargo does nothing if the component is current, and waits its turn if another test process is building it.
fn build(guest: &str, file: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| tests.join("../target"), PathBuf::from)
        .join("guests");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--locked", "--release"])
        .args(["--target", "wasm32-wasip2"])
        .arg("--manifest-path")
        .arg(tests.join("guests").join(guest).join("Cargo.toml"))
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
        "the plugin {guest} does not build (is the target there? `rustup target add wasm32-wasip2`):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    target.join("wasm32-wasip2/release").join(file)
}
