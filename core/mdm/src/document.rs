//! Property lists as they travel between a device and the server.
//!
//! Every message that arrives goes through [`read`] (or [`read_array`], for the payloads inside an encrypted profile):
//! nothing else in this crate parses a property list. What leaves goes through [`write()`] or [`write_array`].
//!
//! Only the XML form is read. A binary property list of 271 bytes can make a reader ask for gigabytes, and no device has
//! been seen to send one to an MDM server, so it has an error of its own that the server can count.

mod fields;
mod reader;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plist::{Dictionary, Value};
use thiserror::Error;

pub use fields::{FieldError, FieldProblem};
pub(crate) use fields::{Fields, Kind};

/// How much one document may cost.
///
/// Reading takes memory in proportion to `max_bytes` (some tens of times at worst, for a document of many tiny entries)
/// and stack in proportion to `max_depth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest document accepted, in bytes.
    pub max_bytes: usize,
    /// Deepest nesting of dictionaries and arrays accepted; the root counts as 1.
    pub max_depth: usize,
}

impl Limits {
    /// Nesting that no message of Apple's comes near.
    pub const MAX_DEPTH: usize = 64;

    /// Values (dictionaries, arrays, strings, …) in one document. A Mac's list of a thousand applications has ten thousand; two
    /// megabytes of empty ones would be hundreds of thousands, each of them many times its size in memory.
    pub const MAX_VALUES: usize = 100_000;

    /// Limits for documents of up to `max_bytes` bytes, with the usual nesting of 64.
    #[must_use]
    pub const fn bytes(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            max_depth: Self::MAX_DEPTH,
        }
    }
}

impl Default for Limits {
    /// 2 MiB, 64 levels: the application list of a busy Mac fits.
    fn default() -> Self {
        Self::bytes(2 * 1024 * 1024)
    }
}

/// Why bytes are not a document that this crate accepts. All of it is the sender's doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A binary property list (`bplist…`). Answer 400 and count it.
    #[error("the document is a binary property list; only XML is accepted")]
    Binary,
    /// Longer than [`Limits::max_bytes`].
    #[error("the document has {found} bytes; at most {limit} are accepted")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// Nested deeper than [`Limits::max_depth`].
    #[error("the document nests deeper than {limit} levels")]
    TooDeep {
        /// The limit, in levels.
        limit: usize,
    },
    /// More values than [`Limits::MAX_VALUES`].
    #[error("the document has more than {limit} values")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Not a well-formed XML property list.
    #[error("the document is not an XML property list: {problem} (at byte {offset})")]
    Malformed {
        /// What is wrong there.
        problem: &'static str,
        /// Where the reader stood, in bytes from the start.
        offset: u64,
    },
    /// A property list, but its root is of another kind.
    #[error("the root of the document is of type {found}, not {expected}")]
    Root {
        /// The kind that the message needs.
        expected: &'static str,
        /// The kind that was found.
        found: &'static str,
    },
}

/// Why a document cannot be written. All of it is the caller's doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A key or string with a character that XML 1.0 has no way to write, such as U+0000.
    #[error("\"{key}\" holds U+{:04X}, which XML cannot carry", *.character as u32)]
    Character {
        /// The nearest enclosing key; empty at the root.
        key: String,
        /// The character.
        character: char,
    },
    /// A value that XML property lists do not have (a UID), a real that is not a number, or a
    /// date that four digits of a year do not hold.
    #[error("\"{key}\" holds a {found}, which an XML property list cannot carry")]
    Kind {
        /// The nearest enclosing key; empty at the root.
        key: String,
        /// What it holds.
        found: &'static str,
    },
    /// Nested deeper than a device may be expected to read.
    #[error("\"{key}\" nests deeper than {} levels", Limits::MAX_DEPTH)]
    TooDeep {
        /// The nearest enclosing key.
        key: String,
    },
}

/// Reads an XML property list whose root is a dictionary.
///
/// Lenient where devices are: base64 with wrong padding is taken for the bytes that it holds, and characters that XML does not
/// allow (U+0000 from application names) stand or become U+FFFD. Strict elsewhere: a key given twice, an unknown element or
/// entity, text between elements, or anything after the document is an error.
///
/// # Errors
///
/// See [`DocumentError`].
pub fn read(bytes: &[u8], limits: Limits) -> Result<Dictionary, DocumentError> {
    match read_value(bytes, limits)? {
        Value::Dictionary(dictionary) => Ok(dictionary),
        other => Err(DocumentError::Root {
            expected: Kind::DICTIONARY,
            found: Kind::of(&other),
        }),
    }
}

/// Reads an XML property list whose root is an array, as the plaintext of `EncryptedPayloadContent` is.
///
/// # Errors
///
/// See [`DocumentError`].
pub fn read_array(bytes: &[u8], limits: Limits) -> Result<Vec<Value>, DocumentError> {
    match read_value(bytes, limits)? {
        Value::Array(array) => Ok(array),
        other => Err(DocumentError::Root {
            expected: Kind::ARRAY,
            found: Kind::of(&other),
        }),
    }
}

fn read_value(bytes: &[u8], limits: Limits) -> Result<Value, DocumentError> {
    if bytes.starts_with(b"bplist") {
        return Err(DocumentError::Binary);
    }
    if bytes.len() > limits.max_bytes {
        return Err(DocumentError::TooLarge {
            limit: limits.max_bytes,
            found: bytes.len(),
        });
    }
    reader::read(bytes, limits.max_depth)
}

/// Writes a dictionary as an XML property list.
///
/// # Errors
///
/// See [`WriteError`]; never for what [`read`] returned from a well-formed document.
pub fn write(dictionary: &Dictionary) -> Result<Vec<u8>, WriteError> {
    write_value(&Value::Dictionary(dictionary.clone()))
}

/// Writes an array as an XML property list.
///
/// # Errors
///
/// See [`WriteError`].
pub fn write_array(array: &[Value]) -> Result<Vec<u8>, WriteError> {
    write_value(&Value::Array(array.to_vec()))
}

fn write_value(value: &Value) -> Result<Vec<u8>, WriteError> {
    check(value, "", Limits::MAX_DEPTH)?;
    let mut xml = Vec::new();
    value
        .to_writer_xml(&mut xml)
        .expect("a checked value has an XML form, and writing to memory does not fail");
    Ok(xml)
}

/// Refuses what the writer would either refuse without saying where, or write as a document that no device reads.
fn check(value: &Value, key: &str, depth_left: usize) -> Result<(), WriteError> {
    let kind = |found| WriteError::Kind {
        key: key.to_owned(),
        found,
    };
    let deeper = || {
        depth_left
            .checked_sub(1)
            .ok_or_else(|| WriteError::TooDeep {
                key: key.to_owned(),
            })
    };
    match value {
        Value::Array(items) => {
            let left = deeper()?;
            items.iter().try_for_each(|item| check(item, key, left))
        }
        Value::Dictionary(entries) => {
            let left = deeper()?;
            entries.iter().try_for_each(|(name, item)| {
                check_text(name, key)?;
                check(item, name, left)
            })
        }
        Value::String(text) => check_text(text, key),
        Value::Real(real) if !real.is_finite() => Err(kind("real that is not a number")),
        Value::Date(date) if !is_four_digit_year((*date).into()) => {
            Err(kind("date outside the years 0000 to 9999"))
        }
        Value::Boolean(_)
        | Value::Data(_)
        | Value::Date(_)
        | Value::Integer(_)
        | Value::Real(_) => Ok(()),
        other => Err(kind(Kind::of(other))),
    }
}

fn check_text(text: &str, key: &str) -> Result<(), WriteError> {
    match text.chars().find(|&c| !is_xml_character(c)) {
        None => Ok(()),
        Some(character) => Err(WriteError::Character {
            key: key.to_owned(),
            character,
        }),
    }
}

/// The writer panics beyond.
fn is_four_digit_year(time: SystemTime) -> bool {
    const TO_YEAR_0: Duration = Duration::from_secs(62_167_219_200);
    const TO_YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after < TO_YEAR_10000,
        Err(before) => before.duration() <= TO_YEAR_0,
    }
}

/// XML 1.0 production `Char`.
fn is_xml_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}
