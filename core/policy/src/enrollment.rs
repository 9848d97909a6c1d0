//! Hook point *enrollment-approval*: may this person enroll this device?

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Conflict, Decision, DeviceFacts, Facts, HookFailure, Person, Reason, Value};

/// Decides about an enrollment once the device has identified itself (phase 2).
#[async_trait]
pub trait EnrollmentApproval: Send + Sync {
    /// Allows, denies or defers.
    ///
    /// # Errors
    /// A failure ends the attempt as a refusal for now; nothing is remembered.
    async fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, HookFailure>;
}

/// May this person enroll this device?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentQuestion {
    /// The occasion.
    pub decision: Decision,
    /// Id of the enrollment session.
    pub session: String,
    /// Who signed in.
    pub person: Person,
    /// What the device says it is.
    pub device: DeviceFacts,
    /// Who vouches for that.
    pub attestation: Attestation,
    /// The peer's IP address, without a port.
    pub remote_address: String,
}

/// Who vouches for a device's identity: the outcome of walking its factory certificate's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attestation {
    /// The chain ends in Apple's root.
    Apple,
    /// The chain ends in another root that the operator configured.
    Other {
        /// SHA-256 of the root certificate, 64 lower-case hex digits.
        root_sha256: String,
    },
    /// Nobody does.
    None {
        /// Why the chain could not be followed.
        reason: String,
    },
}

/// In words: `by Apple`.
impl fmt::Display for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apple => f.write_str("by Apple"),
            Self::Other { root_sha256 } => write!(f, "by the root {root_sha256}"),
            Self::None { reason } => write!(f, "by nobody: {reason}"),
        }
    }
}

/// Whether the device may be enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnrollmentVerdict {
    /// Yes, on these terms.
    Allow(Allowance),
    /// No.
    Deny(Reason),
    /// Not yet: somebody has to look at it. This attempt ends, a later one may succeed.
    Pending(Reason),
}

/// The terms of an enrollment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Settings for the enrollment, by name. Later questions about the device have them as facts, with `setting.`
    /// before the name.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub settings: Facts,
    /// What the verdict relied upon.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub relied_on: Facts,
}

impl Allowance {
    /// The same terms with one more setting.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Both terms together. A later hook may add settings and not change what an earlier one set.
    ///
    /// # Errors
    /// [`Conflict`] if both give one setting different values.
    pub fn and(mut self, later: Self) -> Result<Self, Conflict> {
        for (name, value) in later.settings {
            match self.settings.get(&name) {
                Some(earlier) if *earlier != value => return Err(Conflict { subject: name }),
                _ => self.settings.insert(name, value),
            };
        }
        self.relied_on.extend(later.relied_on);
        Ok(self)
    }
}
