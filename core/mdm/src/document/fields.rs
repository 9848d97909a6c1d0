//! Typed access to the entries of a dictionary that a peer sent.

use std::fmt;

use plist::{Dictionary, Value};
use thiserror::Error;

/// An entry of a message is missing or not what the message needs. The peer's doing; never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}: \"{key}\" {problem}")]
pub struct FieldError {
    /// The message or payload, by its protocol name.
    pub message: &'static str,
    /// The key.
    pub key: &'static str,
    /// What is wrong with it.
    pub problem: FieldProblem,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldProblem {
    /// The entry is required.
    Missing,
    /// The entry has another type.
    Type {
        /// The type that the protocol gives it.
        expected: &'static str,
        /// The type that was found.
        found: &'static str,
    },
    /// The value is out of its range; the sentence says what would be right.
    Value(&'static str),
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Type { expected, found } => write!(f, "is of type {found}, not {expected}"),
            Self::Value(right) => f.write_str(right),
        }
    }
}

/// Longest text that is kept and shown, in bytes.
const LONGEST_LABEL: usize = 255;
const LABEL_RULE: &str = "must be at most 255 bytes without control characters";

/// Names of property list types, as errors spell them.
pub(crate) struct Kind;

impl Kind {
    pub(crate) const ARRAY: &'static str = "array";
    pub(crate) const DICTIONARY: &'static str = "dictionary";
    pub(crate) const STRING: &'static str = "string";
    pub(crate) const DATA: &'static str = "data";
    pub(crate) const BOOLEAN: &'static str = "boolean";
    pub(crate) const INTEGER: &'static str = "integer";

    pub(crate) fn of(value: &Value) -> &'static str {
        match value {
            Value::Array(_) => Self::ARRAY,
            Value::Dictionary(_) => Self::DICTIONARY,
            Value::String(_) => Self::STRING,
            Value::Data(_) => Self::DATA,
            Value::Boolean(_) => Self::BOOLEAN,
            Value::Integer(_) => Self::INTEGER,
            Value::Real(_) => "real",
            Value::Date(_) => "date",
            Value::Uid(_) => "UID",
            _ => "value of unknown type",
        }
    }
}

/// The entries of one message, taken out one by one: what is taken moves, so that a secret is not left behind in a copy.
pub(crate) struct Fields {
    message: &'static str,
    entries: Dictionary,
}

impl Fields {
    pub(crate) fn new(message: &'static str, entries: Dictionary) -> Self {
        Self { message, entries }
    }

    /// Names the message in errors from here on, once its type is known.
    pub(crate) fn rename(&mut self, message: &'static str) {
        self.message = message;
    }

    /// What nobody took, sorted by key as Apple writes it: taking the others left it in no order.
    pub(crate) fn take_rest(&mut self) -> Dictionary {
        let mut rest = std::mem::take(&mut self.entries);
        rest.sort_keys();
        rest
    }

    pub(crate) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.entries.remove(key)
    }

    pub(crate) fn is_text(&self, key: &'static str) -> bool {
        matches!(self.entries.get(key), Some(Value::String(_)))
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Result<Option<String>, FieldError> {
        self.take(key, Kind::STRING, |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    /// A string that counts as absent when it is empty: Macs send empty IMEI and MEID.
    pub(crate) fn filled(&mut self, key: &'static str) -> Result<Option<String>, FieldError> {
        Ok(self.text(key)?.filter(|text| !text.trim().is_empty()))
    }

    /// A [`filled`](Self::filled) string that is kept and shown: of bounded length, and without control characters.
    pub(crate) fn label(&mut self, key: &'static str) -> Result<Option<String>, FieldError> {
        match self.filled(key)? {
            Some(text) if text.len() > LONGEST_LABEL || text.chars().any(char::is_control) => {
                Err(self.invalid(key, LABEL_RULE))
            }
            text => Ok(text),
        }
    }

    /// Data that counts as absent when it is empty, and is refused when it is larger than anything a device would send.
    pub(crate) fn bounded_data(
        &mut self,
        key: &'static str,
        most: usize,
    ) -> Result<Option<Vec<u8>>, FieldError> {
        match self.data(key)? {
            Some(data) if data.len() > most => Err(self.invalid(key, "is too large")),
            data => Ok(data.filter(|data| !data.is_empty())),
        }
    }

    pub(crate) fn data(&mut self, key: &'static str) -> Result<Option<Vec<u8>>, FieldError> {
        self.take(key, Kind::DATA, |value| match value {
            Value::Data(data) => Ok(data),
            other => Err(other),
        })
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, FieldError> {
        self.take(key, Kind::BOOLEAN, |value| match value {
            Value::Boolean(boolean) => Ok(boolean),
            other => Err(other),
        })
    }

    pub(crate) fn integer(&mut self, key: &'static str) -> Result<Option<i64>, FieldError> {
        self.take(key, Kind::INTEGER, |value| {
            value.as_signed_integer().ok_or(value)
        })
    }

    pub(crate) fn array(&mut self, key: &'static str) -> Result<Option<Vec<Value>>, FieldError> {
        self.take(key, Kind::ARRAY, |value| match value {
            Value::Array(items) => Ok(items),
            other => Err(other),
        })
    }

    pub(crate) fn dictionary(
        &mut self,
        key: &'static str,
    ) -> Result<Option<Dictionary>, FieldError> {
        self.take(key, Kind::DICTIONARY, |value| match value {
            Value::Dictionary(entries) => Ok(entries),
            other => Err(other),
        })
    }

    pub(crate) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, FieldError> {
        let items = self.array(key)?.unwrap_or_default();
        items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(self.type_error(key, Kind::STRING, &other)),
            })
            .collect()
    }

    /// Turns an absent entry into an error.
    pub(crate) fn required<T>(&self, key: &'static str, found: Option<T>) -> Result<T, FieldError> {
        found.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn missing(&self, key: &'static str) -> FieldError {
        self.error(key, FieldProblem::Missing)
    }

    pub(crate) fn invalid(&self, key: &'static str, right: &'static str) -> FieldError {
        self.error(key, FieldProblem::Value(right))
    }

    pub(crate) fn type_error(
        &self,
        key: &'static str,
        expected: &'static str,
        found: &Value,
    ) -> FieldError {
        self.error(
            key,
            FieldProblem::Type {
                expected,
                found: Kind::of(found),
            },
        )
    }

    fn error(&self, key: &'static str, problem: FieldProblem) -> FieldError {
        FieldError {
            message: self.message,
            key,
            problem,
        }
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        convert: impl FnOnce(Value) -> Result<T, Value>,
    ) -> Result<Option<T>, FieldError> {
        match self.entries.remove(key) {
            None => Ok(None),
            Some(value) => match convert(value) {
                Ok(converted) => Ok(Some(converted)),
                Err(other) => Err(self.type_error(key, expected, &other)),
            },
        }
    }
}
