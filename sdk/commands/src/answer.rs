//! Reading answers leniently: devices leave keys out, add new ones, and now and then send another type than documented.

use plist::{Dictionary, Value};
use serde::de::DeserializeOwned;

use crate::{
    AnswerError, DeviceInformationAnswer, DeviceLockAnswer, ProfileListAnswer, SecurityInfoAnswer,
};

/// What a device answered to one of the catalogue's commands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// To [`DeviceInformation`](crate::DeviceInformation).
    DeviceInformation(Box<DeviceInformationAnswer>),
    /// To [`SecurityInfo`](crate::SecurityInfo).
    SecurityInfo(Box<SecurityInfoAnswer>),
    /// To [`DeviceLock`](crate::DeviceLock).
    DeviceLock(DeviceLockAnswer),
    /// To [`ProfileList`](crate::ProfileList).
    ProfileList(ProfileListAnswer),
    /// The command has no keys of its own in its answer: the status is all there is.
    StatusOnly,
    /// The command is not in the catalogue; its response dictionary speaks for itself.
    Unknown,
}

impl Answer {
    /// Reads the response dictionary of an **acknowledged** command (top-level keys, `Status` and `CommandUUID` included).
    /// The caller has bounded its size and depth.
    ///
    /// # Errors
    /// [`AnswerError`] if the key that holds the answer is not there.
    pub fn read(request_type: &str, response: &Dictionary) -> Result<Self, AnswerError> {
        Ok(match request_type {
            "DeviceInformation" => Self::DeviceInformation(Box::new(
                DeviceInformationAnswer::from_dictionary(response)?,
            )),
            "SecurityInfo" => {
                Self::SecurityInfo(Box::new(SecurityInfoAnswer::from_dictionary(response)?))
            }
            "DeviceLock" => Self::DeviceLock(DeviceLockAnswer::from_dictionary(response)),
            "ProfileList" => Self::ProfileList(ProfileListAnswer::from_dictionary(response)?),
            "ClearPasscode" | "EraseDevice" | "InstallProfile" | "RemoveProfile" => {
                Self::StatusOnly
            }
            _ => Self::Unknown,
        })
    }
}

/// Reads a type whose fields are all optional. A key with a value of another type costs that key and not the answer;
/// such keys are returned beside it.
pub(crate) fn tolerant<T: DeserializeOwned + Default>(dictionary: &Dictionary) -> (T, Vec<String>) {
    if let Ok(all) = plist::from_value(&Value::Dictionary(dictionary.clone())) {
        return (all, Vec::new());
    }
    let mut readable = Dictionary::new();
    let mut mistyped = Vec::new();
    for (key, value) in dictionary {
        let mut alone = Dictionary::new();
        alone.insert(key.clone(), value.clone());
        if plist::from_value::<T>(&Value::Dictionary(alone)).is_ok() {
            readable.insert(key.clone(), value.clone());
        } else {
            mistyped.push(key.clone());
        }
    }
    // Each key was read by itself, so together they are too; were they not, an empty answer beats none.
    let rest = plist::from_value(&Value::Dictionary(readable)).unwrap_or_default();
    (rest, mistyped)
}
