//! Hook point *ra-approval*: may this certificate be issued?

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Conflict, Decision, DeviceFacts, Facts, HookFailure, Person, Reason};

/// Decides about a certification request that was read, verified and found well formed.
#[async_trait]
pub trait RaApproval: Send + Sync {
    /// Approves, denies or defers.
    ///
    /// # Errors
    /// After a failure the request is asked again at the client's next poll; no operator is bothered with it.
    async fn decide(&self, question: RaQuestion) -> Result<RaVerdict, HookFailure>;
}

/// May this certificate be issued?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaQuestion {
    /// The occasion.
    pub decision: Decision,
    /// Name of the SCEP endpoint that was asked.
    pub endpoint: String,
    /// `transactionID` of the request (RFC 8894, 3.2.1.1).
    pub transaction: String,
    /// What the certificate would be for.
    pub purpose: Purpose,
    /// What is asked for.
    pub csr: CsrFacts,
    /// What the request's challenge password proves.
    pub challenge: ChallengeFacts,
    /// Serial number of the certificate that signed the request, in lower-case hex, if one of ours did.
    pub signer_serial: Option<String>,
    /// Id of the enrollment session that the request belongs to.
    pub session: Option<String>,
    /// The device that the session knows.
    pub device: Option<DeviceFacts>,
    /// The person who signed in.
    pub person: Option<Person>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The short-lived certificate of over-the-air enrollment, to which the profile is encrypted.
    OtaInterim,
    /// The management identity.
    Identity,
    /// The next management identity of a device that has one.
    Renewal,
    /// A third party's endpoint.
    Other,
}

impl Purpose {
    /// The name that records, columns and logs use: `ota-interim`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtaInterim => "ota-interim",
            Self::Identity => "identity",
            Self::Renewal => "renewal",
            Self::Other => "other",
        }
    }
}

/// A certification request (PKCS #10) in facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsrFacts {
    /// The requested subject, as RFC 4514 writes it.
    pub subject: String,
    /// Kind of the public key.
    pub key_type: KeyType,
    /// Size of the public key, in bits.
    pub key_bits: u32,
    /// SHA-256 of the DER-encoded SubjectPublicKeyInfo, 64 lower-case hex digits.
    pub spki_sha256: String,
    /// The requested subject alternative names, each with its kind: `dns:host.example`.
    pub requested_san: Vec<String>,
}

/// Kind of a public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    /// RSA.
    Rsa,
    /// An elliptic curve.
    Ec,
    /// Another algorithm, by its object identifier.
    Other(String),
}

/// What a request's challenge password proves. The password itself is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeFacts {
    /// Whether it holds.
    pub outcome: ChallengeOutcome,
    /// When it was issued, in milliseconds since the Unix epoch.
    pub issued_at_ms: Option<i64>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_at_ms: Option<i64>,
    /// What it was issued for.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub claims: Facts,
}

/// Whether a challenge password holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChallengeOutcome {
    /// Ours, in time, for this purpose, not used by another request.
    Held,
    /// None was sent.
    Absent,
    /// One was sent, and it does not hold.
    Refused {
        /// Why: `expired`, `used`, `foreign`.
        reason: String,
    },
}

/// Whether the certificate may be issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RaVerdict {
    /// Yes, narrowed like this.
    Approve(Approval),
    /// No.
    Deny(Reason),
    /// Not yet: SCEP answers PENDING and the client polls.
    Pending(Reason),
}

/// The terms on which a certificate may be issued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// How the certificate is narrowed.
    #[serde(default)]
    pub amendments: Amendments,
    /// What the verdict relied upon.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub relied_on: Facts,
}

/// Changes to what the endpoint's profile would issue. They can only take away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendments {
    /// At most this long valid, in seconds. Longer than the endpoint's own limit has no effect.
    pub validity_seconds: Option<u64>,
    /// Of the endpoint's key usages, only these.
    pub key_usages: Option<BTreeSet<KeyUsage>>,
}

/// A bit of the key usage extension (RFC 5280, 4.2.1.3) that a request may ask for; leaf certificates of ours have the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUsage {
    /// `digitalSignature`.
    DigitalSignature,
    /// `keyEncipherment`.
    KeyEncipherment,
    /// `keyAgreement`.
    KeyAgreement,
}

impl Amendments {
    /// Both narrowed together: the shorter validity, the key usages that both leave.
    ///
    /// # Errors
    /// [`Conflict`] if nothing is left to issue: no time, or no key usage.
    pub fn and(self, later: Self) -> Result<Self, Conflict> {
        let key_usages = match (self.key_usages, later.key_usages) {
            (Some(ours), Some(theirs)) => Some(ours.intersection(&theirs).copied().collect()),
            (ours, theirs) => ours.or(theirs),
        };
        let validity_seconds = match (self.validity_seconds, later.validity_seconds) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        if key_usages.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Conflict {
                subject: "key_usages".to_owned(),
            });
        }
        if validity_seconds == Some(0) {
            return Err(Conflict {
                subject: "validity_seconds".to_owned(),
            });
        }
        Ok(Self {
            validity_seconds,
            key_usages,
        })
    }
}

impl Approval {
    /// Both terms together.
    ///
    /// # Errors
    /// As for [`Amendments::and`].
    pub fn and(mut self, later: Self) -> Result<Self, Conflict> {
        self.amendments = self.amendments.and(later.amendments)?;
        self.relied_on.extend(later.relied_on);
        Ok(self)
    }
}
