//! The tokens given out, kept in a file so that they outlive the simulator: a device that is away must stay reachable.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::file;

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    /// A device was given a token for a topic.
    Registered {
        token: String,
        udid: String,
        topic: String,
    },
    /// A token died, at these milliseconds since the Unix epoch.
    Unregistered { token: String, at: u64 },
}

/// The file, open for what comes.
pub(super) struct Tokens(File);

impl Tokens {
    /// Opens the file, made if there is none, and reads what it holds. A last line that was not written to its end, as after
    /// a crash, is passed over.
    pub(super) fn open(path: &Path) -> io::Result<(Tokens, Vec<Change>)> {
        let changes = match std::fs::read_to_string(path) {
            Ok(text) => text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok((Tokens(file::append(path)?), changes))
    }

    pub(super) fn append(&mut self, change: &Change) -> io::Result<()> {
        append_line(&mut self.0, change)
    }
}

/// Appends one value as a line of JSON, in one write, so that readers see whole lines.
pub(super) fn append_line(file: &mut File, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    file.write_all(&line)
}
