//! Configuration profiles: built, encrypted to one device and opened again (Apple, "Configuration Profile Reference";
//! "Over-the-Air Profile Delivery and Configuration" for the encrypted form).
//!
//! Server half: [`ConfigurationProfile::to_xml`] or [`ConfigurationProfile::to_encrypted_xml`], then
//! [`crate::signed::sign`]. Client half: [`crate::signed::open`], then [`ReceivedProfile::parse`] and
//! [`ReceivedProfile::payloads`]. The caller gives every UUID: which payload keeps its own over a renewal and which gets a
//! new one decides what the device does with it, so it is not drawn here.

mod certificate;
mod encrypted;
mod label;
mod mdm;
mod scep;
mod validate;

use plist::{Dictionary, Value};
use thiserror::Error;

use crate::document::{self, DocumentError, FieldError, Fields, WriteError};

pub use certificate::{CertificatePayload, CertificateRole};
pub use encrypted::{Content, ReceivedProfile};
pub use label::Label;
pub use mdm::{AccessRights, AccessRightsError, Capability, EnrollmentMode, MdmPayload};
pub use scep::{Rdn, ScepPayload, SubjectAltName};
pub use validate::Problem;

/// Content type of a profile, and of the Profile Service document.
pub const CONTENT_TYPE: &str = "application/x-apple-aspen-config";

/// A configuration profile to send.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationProfile {
    /// Its identity and names. A device replaces the installed profile that has the same identifier.
    pub label: Label,
    /// The payloads, in the order in which they are installed: anchors of trust before what needs them.
    pub payloads: Vec<Payload>,
}

/// One payload of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Its identity and names.
    pub label: Label,
    /// What it configures.
    pub settings: Settings,
}

/// What a payload configures.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Settings {
    /// `com.apple.security.scep`
    Scep(ScepPayload),
    /// `com.apple.mdm`
    Mdm(Box<MdmPayload>),
    /// `com.apple.security.root` or `com.apple.security.pkcs1`
    Certificate(CertificatePayload),
    /// Any other payload, as it stands.
    Other {
        /// `PayloadType`
        payload_type: String,
        /// Everything but type, version and label.
        entries: Dictionary,
    },
}

/// Why a profile cannot be built or opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The profile contradicts itself in a way that every device refuses. The caller's doing.
    #[error("a device would refuse the profile")]
    Invalid(#[from] Problem),
    /// A text in the profile has no XML form. The caller's doing.
    #[error("the profile cannot be written")]
    Write(#[from] WriteError),
    /// The payloads could not be encrypted to the device's certificate.
    #[error("the profile cannot be encrypted to this certificate")]
    Encrypt(#[source] lanyard_pki::cms::CmsError),
    /// The profile is not an acceptable property list (client half).
    #[error("the profile cannot be read")]
    Document(#[from] DocumentError),
    /// An entry of the profile is missing or wrong (client half).
    #[error("the profile breaks the format")]
    Field(#[from] FieldError),
    /// The payloads are not encrypted to this key (client half).
    #[error("the payloads of the profile cannot be decrypted with this key")]
    Decrypt(#[source] lanyard_pki::cms::CmsError),
}

impl ConfigurationProfile {
    /// The profile in clear.
    ///
    /// # Errors
    ///
    /// [`ProfileError::Invalid`], [`ProfileError::Write`].
    pub fn to_xml(&self) -> Result<Vec<u8>, ProfileError> {
        let payloads = self.checked_payloads()?;
        let mut entries = self.envelope();
        entries.insert("PayloadContent".to_owned(), Value::Array(payloads));
        Ok(document::write(&entries)?)
    }

    fn checked_payloads(&self) -> Result<Vec<Value>, ProfileError> {
        validate::check(self)?;
        Ok(self.payloads.iter().map(Payload::to_value).collect())
    }

    fn envelope(&self) -> Dictionary {
        self.label.envelope("Configuration")
    }
}

impl Payload {
    fn to_value(&self) -> Value {
        let mut entries = self.label.envelope(self.settings.payload_type());
        match &self.settings {
            Settings::Scep(scep) => scep.put(&mut entries),
            Settings::Mdm(mdm) => mdm.put(&mut entries),
            Settings::Certificate(certificate) => certificate.put(&mut entries),
            Settings::Other { entries: other, .. } => {
                for (key, value) in other {
                    // The label goes before an entry that would contradict it.
                    if !entries.contains_key(key) {
                        entries.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        Value::Dictionary(entries)
    }

    fn take(entries: Dictionary) -> Result<Self, FieldError> {
        let mut fields = Fields::new("payload", entries);
        let (payload_type, label) = Label::take(&mut fields)?;
        let settings = match payload_type.as_str() {
            ScepPayload::TYPE => Settings::Scep(ScepPayload::take(&mut fields)?),
            MdmPayload::TYPE => Settings::Mdm(Box::new(MdmPayload::take(&mut fields)?)),
            _ => match CertificateRole::from_type(&payload_type) {
                Some(role) => Settings::Certificate(CertificatePayload::take(role, &mut fields)?),
                None => Settings::Other {
                    payload_type,
                    entries: fields.take_rest(),
                },
            },
        };
        Ok(Self { label, settings })
    }
}

impl Settings {
    /// `PayloadType`
    #[must_use]
    pub fn payload_type(&self) -> &str {
        match self {
            Self::Scep(_) => ScepPayload::TYPE,
            Self::Mdm(_) => MdmPayload::TYPE,
            Self::Certificate(certificate) => certificate.role.payload_type(),
            Self::Other { payload_type, .. } => payload_type,
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scep(scep) => scep.fmt(f),
            Self::Mdm(mdm) => mdm.fmt(f),
            Self::Certificate(certificate) => certificate.fmt(f),
            // The values stay out: Wi-Fi passwords and private keys travel in payloads.
            Self::Other {
                payload_type,
                entries,
            } => f
                .debug_struct("Other")
                .field("payload_type", payload_type)
                .field("keys", &entries.keys().collect::<Vec<_>>())
                .finish(),
        }
    }
}
