//! ClearPasscode.

use plist::{Dictionary, Value};

use crate::fields::Fields;
use crate::{CommandError, UnlockToken};

/// Removes the passcode (iOS, visionOS, watchOS). Apple: "Clear Passcode Command". The answer has no keys of its own.
#[derive(Debug, Clone)]
pub struct ClearPasscode {
    /// The token that the device sent for this purpose.
    pub unlock_token: UnlockToken,
}

impl ClearPasscode {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "ClearPasscode";

    pub(crate) fn write(&self, dictionary: &mut Dictionary) {
        let token = self.unlock_token.reveal().to_vec();
        dictionary.insert("UnlockToken".to_owned(), Value::Data(token));
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let fields = Fields::of(Self::REQUEST_TYPE, dictionary);
        let token = fields.data("UnlockToken", UnlockToken::EXPECTED)?;
        let token = fields.required("UnlockToken", UnlockToken::EXPECTED, token)?;
        Ok(Self {
            unlock_token: UnlockToken::new(token)?,
        })
    }
}
