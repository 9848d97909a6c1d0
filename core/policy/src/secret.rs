//! A secret inside a question: usable by native code, redacted wherever the question is written down.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

const REDACTED: &str = "[redacted]";

/// A password, one-time code or challenge. Zeroed when dropped; `Debug` and `Serialize` give `[redacted]`.
///
/// Whatever is deserialised, even a cleartext, becomes a *redacted* secret, because a question that was read back is a record, and a record never
/// holds a secret. Its [`expose`](Self::expose) is empty; ask [`is_redacted`](Self::is_redacted) first where an empty
/// password means something, as it does in an LDAP bind.
#[derive(Clone)]
pub struct Secret {
    text: Zeroizing<String>,
    redacted: bool,
}

impl Secret {
    /// Takes the text over. Copies that the caller made elsewhere are the caller's to zero.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: Zeroizing::new(text.into()),
            redacted: false,
        }
    }

    /// The secret that a record holds in place of a real one.
    pub fn redacted() -> Self {
        Self {
            text: Zeroizing::default(),
            redacted: true,
        }
    }

    /// The text itself; empty if the secret was redacted.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether this came out of a record and holds nothing.
    pub fn is_redacted(&self) -> bool {
        self.redacted
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Takes the same time wherever two secrets of one length differ; their lengths are not hidden.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.text.as_bytes(), other.text.as_bytes());
        self.redacted == other.redacted
            && ours.len() == theirs.len()
            && std::hint::black_box(
                ours.iter()
                    .zip(theirs)
                    .fold(0, |difference, (a, b)| difference | (a ^ b)),
            ) == 0
    }
}

impl Eq for Secret {}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A cleartext that someone wrote by hand is zeroed rather than believed.
        String::deserialize(deserializer).map(Zeroizing::new)?;
        Ok(Self::redacted())
    }
}
