//! What ARCHITECTURE.md says, checked: who may import whom, who names which heavy dependency, and that the documents
//! describe the tree that is there.

mod crates;
mod documents;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand, Package};

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n  {}\n", broken.join("\n  "));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Cargo's view of the workspace, for this machine's platform: without the filter cargo would download the crates of
/// every other one.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output()
        .unwrap();
    let host = String::from_utf8(rustc.stdout).unwrap().trim().to_owned();
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .unwrap()
}

/// The folder of a workspace member, such as `core/pki`.
fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().unwrap().as_std_path();
    folder
        .strip_prefix(root())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// Every Rust file of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<_> = metadata()
        .workspace_packages()
        .into_iter()
        .map(|package| root().join(folder(package)))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}
