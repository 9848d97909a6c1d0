//! ProfileList.

use plist::{Data, Dictionary, Value};
use serde::Deserialize;

use crate::answer::tolerant;
use crate::fields::{Fields, put};
use crate::{AnswerError, CommandError};

/// Lists the installed profiles. Apple: "Profile List Command".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfileList {
    /// Only those that the server installed (iOS 13, macOS 10.15). The device's default is all.
    pub managed_only: Option<bool>,
}

impl ProfileList {
    /// The name on the wire.
    pub const REQUEST_TYPE: &'static str = "ProfileList";

    pub(crate) fn write(self, dictionary: &mut Dictionary) {
        put(dictionary, "ManagedOnly", self.managed_only);
    }

    pub(crate) fn read(dictionary: &Dictionary) -> Result<Self, CommandError> {
        Ok(Self {
            managed_only: Fields::of(Self::REQUEST_TYPE, dictionary).boolean("ManagedOnly")?,
        })
    }
}

/// What a device answers to [`ProfileList`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileListAnswer {
    /// The profiles, in the device's order.
    pub profiles: Vec<InstalledProfile>,
    /// How many entries were no dictionary, or had no identifier.
    pub unreadable: usize,
}

/// An installed profile. Keys that the device left out, or sent with another type, are empty.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct InstalledProfile {
    /// `PayloadIdentifier`; never empty in a [`ProfileListAnswer`].
    pub payload_identifier: String,
    /// `PayloadUUID`
    #[serde(rename = "PayloadUUID")]
    pub payload_uuid: Option<String>,
    /// `PayloadVersion`
    pub payload_version: Option<i64>,
    /// `PayloadDisplayName`
    pub payload_display_name: Option<String>,
    /// `PayloadOrganization`
    pub payload_organization: Option<String>,
    /// `PayloadDescription`
    pub payload_description: Option<String>,
    /// `PayloadRemovalDisallowed`
    pub payload_removal_disallowed: Option<bool>,
    /// `HasRemovalPasscode`
    pub has_removal_passcode: Option<bool>,
    /// `IsEncrypted`
    pub is_encrypted: Option<bool>,
    /// `IsManaged`: the server installed it. Not on macOS.
    pub is_managed: Option<bool>,
    /// `Source`: where it came from (iOS 18, macOS 15).
    pub source: Option<String>,
    /// `SignerCertificates`: DER, the signer first.
    pub signer_certificates: Vec<Data>,
    /// `PayloadContent`: what is in it.
    pub payload_content: Vec<InstalledPayload>,
}

/// A payload of an installed profile, by its names alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct InstalledPayload {
    /// `PayloadType`, such as `com.apple.mdm`
    pub payload_type: Option<String>,
    /// `PayloadIdentifier`
    pub payload_identifier: Option<String>,
    /// `PayloadUUID` (iOS 17, macOS 14)
    #[serde(rename = "PayloadUUID")]
    pub payload_uuid: Option<String>,
    /// `PayloadVersion`
    pub payload_version: Option<i64>,
    /// `PayloadDisplayName`
    pub payload_display_name: Option<String>,
    /// `PayloadDescription`
    pub payload_description: Option<String>,
    /// `PayloadOrganization`
    pub payload_organization: Option<String>,
}

impl ProfileListAnswer {
    /// Reads the response dictionary.
    ///
    /// # Errors
    /// [`AnswerError`] if `ProfileList` is not there or no array.
    pub fn from_dictionary(response: &Dictionary) -> Result<Self, AnswerError> {
        let entries = response
            .get("ProfileList")
            .and_then(Value::as_array)
            .ok_or(AnswerError {
                request_type: ProfileList::REQUEST_TYPE,
                key: "ProfileList",
                expected: "an array",
            })?;
        let profiles: Vec<_> = entries
            .iter()
            .filter_map(Value::as_dictionary)
            .map(|entry| tolerant::<InstalledProfile>(entry).0)
            .filter(|profile| !profile.payload_identifier.is_empty())
            .collect();
        Ok(Self {
            unreadable: entries.len() - profiles.len(),
            profiles,
        })
    }
}
