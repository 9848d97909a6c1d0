//! Reading a command's keys out of a dictionary, with errors that name the command, the key and what would be right.

use plist::{Dictionary, Value};

use crate::CommandError;

/// The keys of one command, or of a dictionary inside it.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    request_type: &'static str,
    dictionary: &'a Dictionary,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(request_type: &'static str, dictionary: &'a Dictionary) -> Self {
        Self {
            request_type,
            dictionary,
        }
    }

    pub(crate) fn string(
        self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<&'a str>, CommandError> {
        self.optional(key, expected, Value::as_string)
    }

    pub(crate) fn boolean(self, key: &'static str) -> Result<Option<bool>, CommandError> {
        self.optional(key, "a boolean", Value::as_boolean)
    }

    pub(crate) fn data(
        self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<&'a [u8]>, CommandError> {
        self.optional(key, expected, Value::as_data)
    }

    pub(crate) fn array(
        self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<&'a [Value]>, CommandError> {
        self.optional(key, expected, |value| value.as_array().map(Vec::as_slice))
    }

    /// The fields of a dictionary under `key`; errors in it are named by the keys that its reader uses.
    pub(crate) fn dictionary(self, key: &'static str) -> Result<Option<Self>, CommandError> {
        let inner = self.optional(key, "a dictionary", Value::as_dictionary)?;
        Ok(inner.map(|dictionary| Self::of(self.request_type, dictionary)))
    }

    /// Turns the absence of a key into the error that says so.
    pub(crate) fn required<T>(
        self,
        key: &'static str,
        expected: &'static str,
        value: Option<T>,
    ) -> Result<T, CommandError> {
        value.ok_or(CommandError::Missing {
            request_type: self.request_type,
            key,
            expected,
        })
    }

    fn optional<T>(
        self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, CommandError> {
        match self.dictionary.get(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or(CommandError::Wrong {
                request_type: self.request_type,
                key,
                expected,
            }),
        }
    }
}

/// Puts a value under a key if there is one: in a command, absence means the device's default.
pub(crate) fn put(dictionary: &mut Dictionary, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        dictionary.insert(key.to_owned(), value.into());
    }
}
