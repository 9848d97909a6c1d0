//! The `openssl` command line at a desk of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::identities::{EC, INTERMEDIATE, ROOT, RSA};

pub(crate) const CONTENT: &[u8] = b"a text of\nmore than one line\n";

/// A directory with the files of one test.
pub(crate) struct Desk(tempfile::TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("root.pem", ROOT.certificate().to_pem());
        desk.put("intermediate.pem", INTERMEDIATE.certificate().to_pem());
        desk.put("content", CONTENT);
        for (name, identity) in [("rsa", &*RSA), ("ec", &*EC)] {
            desk.put(&format!("{name}.pem"), identity.certificate.to_pem());
            desk.put(&format!("{name}.key"), identity.key.to_pem().unwrap());
        }
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap();
    }

    pub(crate) fn take(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Runs the command line and returns what it said on both channels.
    pub(crate) fn openssl(&self, arguments: &str) -> Result<String, String> {
        run(self.0.path(), arguments)
    }
}

fn run(directory: &Path, arguments: &str) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("the openssl command line is needed: `cargo xtask up` or `cargo xtask test` installs it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(format!("openssl {arguments}\n{said}"))
    }
}
