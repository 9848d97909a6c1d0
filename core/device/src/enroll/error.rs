//! Why a phase fails, from the device's side.

use lanyard_mdm::document::{DocumentError, WriteError};
use lanyard_mdm::ota::WriteMessageError;
use lanyard_mdm::profile::ProfileError;
use lanyard_mdm::signed::NotSigned;
use lanyard_mdm::{IdentityError, unenroll};
use lanyard_pki::cms::CmsError;
use lanyard_pki::{CertificateError, KeyError};
use lanyard_scep::FailInfo;
use lanyard_scep::client::ClientError;

use super::Phase;
use crate::apns::SubscriptionError;
use crate::http::{AnchorError, HttpError, Unexpected};
use crate::journal::JournalError;
use crate::trust::Untrusted;

/// An enrollment that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("{phase} failed")]
pub struct EnrollError {
    /// The phase that was not reached.
    pub phase: Phase,
    /// Why.
    #[source]
    pub source: StepError,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// No answer.
    #[error("the server did not answer")]
    Http(#[from] HttpError),
    /// A refusal.
    #[error("the server refused")]
    Refused(#[from] Unexpected),
    /// The answer is of another type.
    #[error("the answer is of type {found:?}, not {expected}")]
    ContentType {
        /// What a device takes.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A URL that must be https is not.
    #[error("{url:?} does not begin with https://, as it must")]
    NotHttps {
        /// The URL.
        url: String,
    },
    /// A document is not signed, or wrongly.
    #[error("the document's signature does not hold")]
    NotSigned(#[from] NotSigned),
    /// A document is signed by a stranger.
    #[error("the document is not to be trusted")]
    Untrusted(#[from] Untrusted),
    /// A document is no profile.
    #[error("the profile cannot be read")]
    Profile(#[from] ProfileError),
    /// The same, found on the way to the device's list of profiles.
    #[error("the profile cannot be listed")]
    Listing(#[from] crate::model::ProfileError),
    /// A document is no property list.
    #[error("the document is no property list")]
    Document(#[from] DocumentError),
    /// A profile does not have the payloads that it should.
    #[error("the profile does not do here: {0}")]
    Payloads(&'static str),
    /// The payloads do not decrypt.
    #[error("the payloads cannot be decrypted")]
    Decrypt(#[from] CmsError),
    /// An anchor is no certificate.
    #[error("an anchor of the profile cannot be read")]
    Certificate(#[from] CertificateError),
    /// An anchor cannot be trusted.
    #[error("an anchor of the profile cannot be installed")]
    Anchor(#[from] AnchorError),
    /// The endpoint lacks what Apple's client insists on.
    #[error("the SCEP endpoint offers no SHA digest, or neither AES nor DES3")]
    ScepCapabilities,
    /// The endpoint's certificates are not the ones that the profile names.
    #[error("no certificate of the SCEP endpoint has the CAFingerprint of the profile")]
    ScepFingerprint,
    /// The endpoint does not speak SCEP as it should.
    #[error("the SCEP exchange failed")]
    Scep(#[from] ClientError),
    /// The endpoint refused to issue.
    #[error("the SCEP endpoint refused: {info:?} {}", text.as_deref().unwrap_or_default())]
    ScepFailed {
        /// failInfo.
        info: Option<FailInfo>,
        /// failInfoText.
        text: Option<String>,
    },
    /// The endpoint did not decide in time.
    #[error("the SCEP endpoint has not decided yet, and the profile allows no further poll")]
    ScepPending,
    /// The profile asks for a subject that this device cannot write.
    #[error("the subject attribute {kind:?} is none that this device can write")]
    Subject {
        /// Its type.
        kind: String,
    },
    /// The profile asks for a key of a size that no device makes.
    #[error("Keysize is {bits}; a device makes keys of 1024, 2048 or 4096 bits")]
    KeySize {
        /// The size asked for.
        bits: u16,
    },
    /// A key cannot be made.
    #[error("a key cannot be made or used")]
    Key(#[from] KeyError),
    /// A message of phase 2 or 3 cannot be written.
    #[error("the enrollment message cannot be written")]
    WriteMessage(#[from] WriteMessageError),
    /// A check-in message cannot be written.
    #[error("the message cannot be written")]
    Write(#[from] WriteError),
    /// The device's UDID is none.
    #[error("the device's UDID is not one")]
    Udid(#[from] IdentityError),
    /// The simulated APNs cannot be reached.
    #[error("no registration for pushes")]
    Push(#[from] SubscriptionError),
    /// The device was told to go no further.
    #[error("the device was told to stop here")]
    ToldToStop,
    /// The device's own files cannot be written.
    #[error("the device's state cannot be kept")]
    Journal(#[from] JournalError),
}

impl StepError {
    /// Whether the server told the device to unenroll.
    #[must_use]
    pub fn is_dismissal(&self) -> bool {
        match self {
            StepError::Refused(refused) => unenroll::is_dismissal(refused.status, &refused.body),
            _ => false,
        }
    }
}
