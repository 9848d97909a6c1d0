//! RemoveProfile.

use plist::Dictionary;

use crate::CommandError;
use crate::fields::Fields;

/// Removes a profile that the server installed. Apple: "Remove Profile Command". Removing the enrollment profile ends the
/// enrollment. The answer has no keys of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveProfile {
    identifier: String,
}

impl RemoveProfile {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "RemoveProfile";

    const EXPECTED: &'static str = "a non-empty string: the profile's PayloadIdentifier";

    /// The command for the profile with this `PayloadIdentifier`.
    ///
    /// # Errors
    /// [`CommandError::Wrong`] if it is empty.
    pub fn new(identifier: impl Into<String>) -> Result<Self, CommandError> {
        let identifier = identifier.into();
        if identifier.is_empty() {
            return Err(CommandError::Wrong {
                request_type: Self::REQUEST_TYPE,
                key: "Identifier",
                expected: Self::EXPECTED,
            });
        }
        Ok(Self { identifier })
    }

    /// The profile's `PayloadIdentifier`.
    #[must_use]
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    pub(crate) fn write(&self, dictionary: &mut Dictionary) {
        dictionary.insert("Identifier".to_owned(), self.identifier.clone().into());
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let fields = Fields::of(Self::REQUEST_TYPE, dictionary);
        let identifier = fields.string("Identifier", Self::EXPECTED)?;
        Self::new(fields.required("Identifier", Self::EXPECTED, identifier)?)
    }
}
