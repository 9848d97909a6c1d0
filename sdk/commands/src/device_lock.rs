//! DeviceLock.

use plist::{Dictionary, Value};

use crate::fields::{Fields, put};
use crate::{CommandError, Pin};

/// Locks the device at once. Apple: "Lock Device Command". A Mac restarts and asks for the PIN.
#[derive(Debug, Clone, Default)]
pub struct DeviceLock {
    /// Shown on the lock screen (iOS 7, macOS 10.14; not on a Shared iPad, not on visionOS).
    pub message: Option<String>,
    /// Shown on the lock screen (iOS 7, macOS 11.5 on Apple silicon; not on a Shared iPad, not on visionOS).
    pub phone_number: Option<String>,
    /// Unlocks the Mac again (macOS 10.8; needed where `PINRequiredForDeviceLock` is true, meaningless elsewhere).
    pub pin: Option<Pin>,
}

impl DeviceLock {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "DeviceLock";

    pub(crate) fn write(&self, dictionary: &mut Dictionary) {
        put(dictionary, "Message", self.message.clone());
        put(dictionary, "PhoneNumber", self.phone_number.clone());
        put(dictionary, "PIN", self.pin.as_ref().map(Pin::reveal));
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        let fields = Fields::of(Self::REQUEST_TYPE, dictionary);
        Ok(Self {
            message: fields.string("Message", "a string")?.map(str::to_owned),
            phone_number: fields.string("PhoneNumber", "a string")?.map(str::to_owned),
            pin: Pin::of(Self::REQUEST_TYPE, fields.string("PIN", Pin::EXPECTED)?)?,
        })
    }
}

/// What a device answers to [`DeviceLock`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceLockAnswer {
    /// What became of the message, where the device says so.
    pub message_result: Option<MessageResult>,
}

/// What became of the message and telephone number of a [`DeviceLock`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageResult {
    /// `Success`: they are shown.
    Success,
    /// `NoPasscodeSet`: the screen is locked, but a swipe opens it, so nothing is shown.
    NoPasscodeSet,
    /// Another word, as it came.
    Other(String),
}

impl DeviceLockAnswer {
    /// Reads the response dictionary.
    #[must_use]
    pub fn from_dictionary(response: &Dictionary) -> Self {
        let word = response.get("MessageResult").and_then(Value::as_string);
        Self {
            message_result: word.map(|word| match word {
                "Success" => MessageResult::Success,
                "NoPasscodeSet" => MessageResult::NoPasscodeSet,
                other => MessageResult::Other(other.to_owned()),
            }),
        }
    }
}
