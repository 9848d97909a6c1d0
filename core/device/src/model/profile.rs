//! Configuration profiles as an installed list of facts; what their payloads would configure is not simulated.

use lanyard_mdm::document::{self, DocumentError, Limits};
use lanyard_pki::cms::{CmsError, SignedMessage};
use lanyard_pki::{Certificate, Strength};
use plist::{Dictionary, Value};
use serde::{Deserialize, Serialize};

/// An installed profile, as ProfileList shows it (Apple, "Top-level profile keys").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `PayloadIdentifier`.
    pub identifier: String,
    /// `PayloadUUID`.
    pub uuid: String,
    /// `PayloadDisplayName`.
    pub display_name: Option<String>,
    /// `PayloadDescription`.
    pub description: Option<String>,
    /// `PayloadOrganization`.
    pub organization: Option<String>,
    /// `PayloadRemovalDisallowed`.
    pub removal_disallowed: bool,
    /// `IsEncrypted`.
    pub encrypted: bool,
    /// Whether MDM installed it.
    pub managed: bool,
    /// SHA-256 fingerprints, in hexadecimal, of the certificates that came with its signature, the signer's first.
    pub signers: Vec<String>,
    /// What it contains.
    pub payloads: Vec<ProfilePayload>,
}

/// One payload of an installed profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfilePayload {
    /// `PayloadType`.
    pub payload_type: String,
    /// `PayloadIdentifier`.
    pub identifier: String,
    /// `PayloadUUID`.
    pub uuid: String,
    /// `PayloadDisplayName`.
    pub display_name: Option<String>,
}

impl Profile {
    /// Reads a profile in XML, or in CMS with XML inside; a signature must verify, by whatever certificate.
    ///
    /// # Errors
    /// See [`ProfileError`]. An encrypted profile is one: the device's key is not here, see [`Profile::of`].
    pub fn read(octets: &[u8]) -> Result<Profile, ProfileError> {
        let looks_like_xml = octets
            .iter()
            .find(|octet| !octet.is_ascii_whitespace())
            .is_some_and(|octet| matches!(octet, b'<' | 0xEF));
        if looks_like_xml || octets.starts_with(b"bplist") {
            return Profile::of(&document::read(octets, Limits::default())?, &[]);
        }
        let message = SignedMessage::parse(octets)?;
        let verified = message.verify(Strength::Modern)?;
        let mut signers = vec![verified.signer().clone()];
        let rest = verified.certificates().iter();
        signers.extend(
            rest.filter(|certificate| *certificate != verified.signer())
                .cloned(),
        );
        Profile::of(
            &document::read(verified.content(), Limits::default())?,
            &signers,
        )
    }

    /// Takes a profile's facts out of its dictionary. Whoever decrypted `EncryptedPayloadContent` puts the array that it
    /// held back as `PayloadContent` first, and leaves `IsEncrypted` in.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn of(document: &Dictionary, signers: &[Certificate]) -> Result<Profile, ProfileError> {
        if text(document, "PayloadType")? != "Configuration" {
            return Err(ProfileError::Malformed);
        }
        let Some(content) = document.get("PayloadContent") else {
            return Err(match document.contains_key("EncryptedPayloadContent") {
                true => ProfileError::Encrypted,
                false => ProfileError::Missing {
                    key: "PayloadContent",
                },
            });
        };
        let payloads = content
            .as_array()
            .ok_or(ProfileError::WrongType {
                key: "PayloadContent",
            })?
            .iter()
            .map(|payload| payload_facts(payload.as_dictionary().ok_or(ProfileError::Malformed)?))
            .collect::<Result<_, _>>()?;
        Ok(Profile {
            identifier: text(document, "PayloadIdentifier")?,
            uuid: text(document, "PayloadUUID")?,
            display_name: optional_text(document, "PayloadDisplayName")?,
            description: optional_text(document, "PayloadDescription")?,
            organization: optional_text(document, "PayloadOrganization")?,
            removal_disallowed: flag(document, "PayloadRemovalDisallowed")?,
            encrypted: flag(document, "IsEncrypted")?,
            managed: false,
            signers: signers.iter().map(fingerprint).collect(),
            payloads,
        })
    }

    /// Whether it is an enrollment profile: one with a `com.apple.mdm` payload.
    pub fn enrolls(&self) -> bool {
        self.payloads
            .iter()
            .any(|payload| payload.payload_type == "com.apple.mdm")
    }

    /// The profile as an entry of ProfileList.
    pub(super) fn listed(&self) -> Dictionary {
        let payloads: Vec<Value> = self
            .payloads
            .iter()
            .map(|payload| payload.listed().into())
            .collect();
        let mut entry = Dictionary::from_iter([
            ("PayloadIdentifier", Value::from(self.identifier.as_str())),
            ("PayloadUUID", self.uuid.as_str().into()),
            ("PayloadVersion", 1.into()),
            ("PayloadRemovalDisallowed", self.removal_disallowed.into()),
            ("HasRemovalPasscode", false.into()),
            ("IsEncrypted", self.encrypted.into()),
            ("IsManaged", self.managed.into()),
            ("PayloadContent", payloads.into()),
        ]);
        for (key, value) in [
            ("PayloadDisplayName", &self.display_name),
            ("PayloadDescription", &self.description),
            ("PayloadOrganization", &self.organization),
        ] {
            if let Some(value) = value {
                entry.insert(key.to_owned(), value.as_str().into());
            }
        }
        entry
    }
}

impl ProfilePayload {
    fn listed(&self) -> Dictionary {
        let mut entry = Dictionary::from_iter([
            ("PayloadType", Value::from(self.payload_type.as_str())),
            ("PayloadVersion", 1.into()),
            ("PayloadIdentifier", self.identifier.as_str().into()),
            ("PayloadUUID", self.uuid.as_str().into()),
        ]);
        if let Some(name) = &self.display_name {
            entry.insert("PayloadDisplayName".to_owned(), name.as_str().into());
        }
        entry
    }
}

fn payload_facts(payload: &Dictionary) -> Result<ProfilePayload, ProfileError> {
    Ok(ProfilePayload {
        payload_type: text(payload, "PayloadType")?,
        identifier: text(payload, "PayloadIdentifier")?,
        uuid: text(payload, "PayloadUUID")?,
        display_name: optional_text(payload, "PayloadDisplayName")?,
    })
}

fn text(document: &Dictionary, key: &'static str) -> Result<String, ProfileError> {
    match optional_text(document, key)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(ProfileError::Missing { key }),
    }
}

fn optional_text(document: &Dictionary, key: &'static str) -> Result<Option<String>, ProfileError> {
    document
        .get(key)
        .map(|value| {
            value
                .as_string()
                .map(str::to_owned)
                .ok_or(ProfileError::WrongType { key })
        })
        .transpose()
}

fn flag(document: &Dictionary, key: &'static str) -> Result<bool, ProfileError> {
    document.get(key).map_or(Ok(false), |value| {
        value.as_boolean().ok_or(ProfileError::WrongType { key })
    })
}

fn fingerprint(certificate: &Certificate) -> String {
    crate::hex::encode(&certificate.fingerprint())
}

/// Why the device does not install a profile. The codes are the ones of Apple's old protocol reference, appendix "Error codes".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not a property list.
    #[error("the profile is no property list")]
    Document(#[from] DocumentError),
    /// Not a profile.
    #[error("the profile is malformed")]
    Malformed,
    /// A required key is not there.
    #[error("the profile lacks {key}")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key has a value of the wrong type.
    #[error("{key} of the profile has the wrong type")]
    WrongType {
        /// The key.
        key: &'static str,
    },
    /// The signature is broken, or the profile is neither XML nor CMS.
    #[error("the profile's signature is not valid")]
    Signature(#[from] CmsError),
    /// The profile is encrypted.
    #[error("the profile cannot be decrypted")]
    Encrypted,
}

impl ProfileError {
    /// `ErrorDomain` of what the device reports.
    pub fn domain(&self) -> &'static str {
        "MCProfileErrorDomain"
    }

    /// `ErrorCode` of what the device reports.
    pub fn code(&self) -> i64 {
        match self {
            ProfileError::Document(_) | ProfileError::Malformed => 1000,
            ProfileError::Missing { .. } => 1002,
            ProfileError::WrongType { .. } => 1003,
            ProfileError::Signature(_) => 1004,
            ProfileError::Encrypted => 1006,
        }
    }
}
