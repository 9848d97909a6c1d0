//! The words of a pkiMessage (RFC 8894, 3.2.1).

use lanyard_pki::ObjectIdentifier;

pub(crate) const MESSAGE_TYPE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.2");
pub(crate) const PKI_STATUS: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.3");
pub(crate) const FAIL_INFO: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.4");
pub(crate) const SENDER_NONCE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.5");
pub(crate) const RECIPIENT_NONCE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.6");
pub(crate) const TRANSACTION_ID: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113733.1.9.7");
pub(crate) const FAIL_INFO_TEXT: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.24.1");

/// messageType (RFC 8894, 3.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// 3: the answer to everything.
    CertRep,
    /// 17: a new certificate on the strength of an old one.
    RenewalReq,
    /// 19: a new certificate.
    PkcsReq,
    /// 20: is a pending request decided?
    CertPoll,
    /// 21: an issued certificate, please.
    GetCert,
    /// 22: the CRL, please.
    GetCrl,
}

impl MessageType {
    const ALL: [Self; 6] = [
        Self::CertRep,
        Self::RenewalReq,
        Self::PkcsReq,
        Self::CertPoll,
        Self::GetCert,
        Self::GetCrl,
    ];

    /// The decimal number that stands in the message.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::CertRep => "3",
            Self::RenewalReq => "17",
            Self::PkcsReq => "19",
            Self::CertPoll => "20",
            Self::GetCert => "21",
            Self::GetCrl => "22",
        }
    }

    pub(crate) fn from_code(code: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code().as_bytes() == code)
    }
}

/// pkiStatus (RFC 8894, 3.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PkiStatus {
    /// 0
    Success,
    /// 2
    Failure,
    /// 3
    Pending,
}

impl PkiStatus {
    const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Pending];

    /// The decimal number that stands in the message.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::Failure => "2",
            Self::Pending => "3",
        }
    }

    pub(crate) fn from_code(code: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.code().as_bytes() == code)
    }
}

/// failInfo (RFC 8894, 3.2.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailInfo {
    /// 0: an algorithm or key that is not accepted.
    BadAlg,
    /// 1: a signature or an envelope that does not hold.
    BadMessageCheck,
    /// 2: not allowed, or not understood.
    BadRequest,
    /// 3: a signing time too far from now.
    BadTime,
    /// 4: no such certificate.
    BadCertId,
}

impl FailInfo {
    const ALL: [Self; 5] = [
        Self::BadAlg,
        Self::BadMessageCheck,
        Self::BadRequest,
        Self::BadTime,
        Self::BadCertId,
    ];

    /// The decimal number that stands in the message.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadAlg => "0",
            Self::BadMessageCheck => "1",
            Self::BadRequest => "2",
            Self::BadTime => "3",
            Self::BadCertId => "4",
        }
    }

    pub(crate) fn from_code(code: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|info| info.code().as_bytes() == code)
    }
}
