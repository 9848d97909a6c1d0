//! InstallProfile.

use std::fmt;

use plist::{Dictionary, Value};

use crate::CommandError;
use crate::fields::Fields;

/// Installs a configuration profile, or replaces the one with the same identifier. Apple: "Install Profile Command". The
/// answer has no keys of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallProfile {
    payload: Vec<u8>,
}

impl InstallProfile {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "InstallProfile";

    const EXPECTED: &'static str = "non-empty data: a configuration profile, plain or signed";

    /// The command for a profile as a file holds it: XML, or that inside CMS.
    ///
    /// # Errors
    /// [`CommandError::Wrong`] if it is empty.
    pub fn new(payload: impl Into<Vec<u8>>) -> Result<Self, CommandError> {
        let payload = payload.into();
        if payload.is_empty() {
            return Err(CommandError::Wrong {
                request_type: Self::REQUEST_TYPE,
                key: "Payload",
                expected: Self::EXPECTED,
            });
        }
        Ok(Self { payload })
    }

    /// The profile.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn write(&self, dictionary: &mut Dictionary) {
        dictionary.insert("Payload".to_owned(), Value::Data(self.payload.clone()));
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let fields = Fields::of(Self::REQUEST_TYPE, dictionary);
        let payload = fields.data("Payload", Self::EXPECTED)?;
        Self::new(fields.required("Payload", Self::EXPECTED, payload)?)
    }
}

/// Profiles hold passwords and keys, so only the size is shown.
impl fmt::Debug for InstallProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallProfile({} bytes)", self.payload.len())
    }
}
