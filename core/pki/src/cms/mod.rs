//! Cryptographic Message Syntax (RFC 5652), the part that Apple's devices and SCEP's clients speak: SignedData with one
//! signer, EnvelopedData for RSA recipients, and SignedData that only carries certificates.
//!
//! Reading takes BER ([`crate::ber`]) within 16 certificates, 32 attributes and 8 recipients. Signatures are checked
//! over the octets as they came. Writing gives DER.
//!
//! ```
//! # use lanyard_pki::{cms, Certificate, PrivateKey, Strength};
//! # fn example(key: &PrivateKey, certificate: &Certificate) -> Result<(), Box<dyn std::error::Error>> {
//! let message = cms::Signer::new(key, certificate).sign(b"text")?;
//! let message = cms::SignedMessage::parse(&message)?;
//! let verified = message.verify(Strength::Modern)?;
//! assert_eq!((verified.content(), verified.signer()), (&b"text"[..], certificate));
//! # Ok(())
//! # }
//! ```

mod attributes;
mod certificates;
mod enveloped;
mod signed;
mod signer;

use der::Tag;

pub use attributes::{Attribute, Attributes};
pub use certificates::{certificates_only, parse_certificates_only};
pub use enveloped::{Cipher, Envelope, encrypt};
pub use signed::{SignedMessage, Verified};
pub use signer::Signer;

use crate::{
    KeyError, ObjectIdentifier, SignatureError,
    asn1::{self, Element, Walk},
    ber::BerError,
};

/// A CMS message that cannot be read, verified, opened or written.
#[derive(Debug, thiserror::Error)]
pub enum CmsError {
    /// Not one BER element within the limits.
    #[error("not a CMS message in BER")]
    Encoding(#[from] BerError),
    /// Not the structure of RFC 5652.
    #[error("not the structure of a CMS message")]
    Structure(#[from] der::Error),
    /// Another content type than the one asked for.
    #[error("the CMS message is of another type: {0}")]
    ContentType(ObjectIdentifier),
    /// More than the limit of something.
    #[error("the CMS message has more {0} than are accepted")]
    TooMany(&'static str),
    /// Not exactly one signer.
    #[error("the CMS message has {0} signers; exactly one is expected")]
    Signers(usize),
    /// The signer's certificate is not in the message.
    #[error("the CMS message does not carry its signer's certificate")]
    NoSignerCertificate,
    /// Attached content where there is none.
    #[error("the CMS message carries no content")]
    NoContent,
    /// A signed attribute that must be there once is missing, or there twice.
    #[error("the signed attribute {0} is missing or not unique")]
    Attribute(ObjectIdentifier),
    /// The content is not what was signed.
    #[error("the content is not what the signed digest says")]
    DigestMismatch,
    /// The signature is not accepted.
    #[error("the signature of the CMS message is not accepted")]
    Signature(#[from] SignatureError),
    /// An algorithm that is unknown, or never accepted (DES, RC2, MD5).
    #[error("the CMS message uses an algorithm that is not accepted: {0}")]
    Algorithm(ObjectIdentifier),
    /// The envelope is for somebody else.
    #[error("the CMS message is not encrypted to this certificate")]
    NotRecipient,
    /// The envelope did not open. Deliberately without a reason: reasons are what decryption oracles are made of.
    #[error("the CMS message does not decrypt")]
    Undecryptable,
    /// Writing failed.
    #[error("the CMS message could not be written")]
    Key(#[from] KeyError),
}

impl From<openssl::error::ErrorStack> for CmsError {
    fn from(error: openssl::error::ErrorStack) -> Self {
        Self::Key(error.into())
    }
}

/// ContentInfo ::= SEQUENCE { contentType, content [0] EXPLICIT ANY }
fn content_info(der: &[u8]) -> Result<(ObjectIdentifier, Element<'_>), CmsError> {
    let mut fields = Walk::only(der)?.expect(Tag::Sequence)?.children()?;
    let kind = fields.expect(Tag::ObjectIdentifier)?.oid()?;
    let content = Walk::only(fields.expect(asn1::context(0))?.contents)?;
    fields.end()?;
    Ok((kind, content))
}

fn write_content_info(kind: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    asn1::sequence(&[&asn1::oid(kind), &asn1::write(asn1::context(0), content)])
}

/// IssuerAndSerialNumber of a certificate, in its own octets.
fn issuer_and_serial(certificate: &crate::Certificate) -> Vec<u8> {
    asn1::sequence(&[
        certificate.issuer().der(),
        &asn1::write(Tag::Integer, certificate.serial()),
    ])
}

/// Which certificate a SignerInfo or a RecipientInfo means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CertificateId {
    IssuerAndSerial(Vec<u8>),
    SubjectKeyId(Vec<u8>),
}

impl CertificateId {
    fn read(element: Element<'_>) -> Result<Self, CmsError> {
        if element.tag == Tag::Sequence {
            return Ok(Self::IssuerAndSerial(element.raw.to_vec()));
        }
        Ok(Self::SubjectKeyId(
            element
                .expect(asn1::context_primitive(0))?
                .contents
                .to_vec(),
        ))
    }

    /// What CMSVersion a SignerInfo has for it (RFC 5652, 5.3); a KeyTransRecipientInfo's is one less (6.2.1).
    fn version(&self) -> u8 {
        match self {
            Self::IssuerAndSerial(_) => 1,
            Self::SubjectKeyId(_) => 3,
        }
    }

    fn is(&self, certificate: &crate::Certificate) -> bool {
        match self {
            Self::IssuerAndSerial(id) => *id == issuer_and_serial(certificate),
            Self::SubjectKeyId(id) => certificate.subject_key_id() == Some(id),
        }
    }
}
