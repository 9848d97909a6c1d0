//! The check of phases 2 and 3: who signed the message, and what it says.

use lanyard_pki::cms::{CmsError, SignedMessage, Signer};
use lanyard_pki::{Certificate, Digest, PrivateKey, Strength};
use thiserror::Error;

use super::DeviceAttributes;
use crate::document::{self, DocumentError, FieldError, Limits, WriteError};

/// What a device posted, told apart by who signed it.
#[derive(Debug, Clone, PartialEq)]
pub enum PhaseMessage {
    /// Phase 2: not signed by an identity of ours. The challenge in the attributes is what ties it to a person: look for its
    /// session before the chain is walked ([`FactoryTrust::attest`](super::FactoryTrust::attest)), which costs several
    /// signatures.
    Device {
        /// What the device says about itself.
        attributes: DeviceAttributes,
        /// The signer's certificate.
        certificate: Certificate,
        /// All certificates of the message, the signer's among them.
        chain: Vec<Certificate>,
    },
    /// Phase 3: signed by an identity that our authority issued. Validity, revocation and session are the caller's to check.
    Identity {
        /// What the device says about itself; compare it with phase 2.
        attributes: DeviceAttributes,
        /// The signer's certificate; the profile is encrypted to it.
        certificate: Certificate,
    },
}

/// Why a message was refused. All of it is the sender's doing, to be answered 400 with a short uniform body.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PhaseError {
    /// Larger than the limit.
    #[error("the enrollment message has {found} bytes; at most {limit} are accepted")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// Not a CMS message, or its signature does not hold.
    #[error("the enrollment message is not properly signed")]
    Signature(#[from] CmsError),
    /// What was signed is not an acceptable property list.
    #[error("the device attributes cannot be read")]
    Document(#[from] DocumentError),
    /// An attribute is missing or wrong.
    #[error("the device attributes break the protocol")]
    Field(#[from] FieldError),
}

/// Verifies and reads a phase-2 or phase-3 message (BER or DER), with the signature over the content exactly as it came.
///
/// `is_ours` says whether our authority signed a certificate; it is asked about the signer before anything else, and must go by
/// the authority's key, never by names. An identity of ours must sign as anything modern does; of everybody else
/// SHA-1 and RSA-1024 are accepted, because factory identities have them and may come without their chain.
///
/// # Errors
///
/// See [`PhaseError`]. A signer that is not ours is not an error: whether a factory vouches for it, and whether such a device
/// may enroll, is decided later.
pub fn verify_message(
    body: &[u8],
    limits: Limits,
    is_ours: impl FnOnce(&Certificate) -> bool,
) -> Result<PhaseMessage, PhaseError> {
    if body.len() > limits.max_bytes {
        return Err(PhaseError::TooLarge {
            limit: limits.max_bytes,
            found: body.len(),
        });
    }
    let message = SignedMessage::parse(body)?;
    let signer = message
        .unverified_signer()
        .ok_or(CmsError::NoSignerCertificate)?;
    let ours = is_ours(signer);
    let strength = if ours {
        Strength::Modern
    } else {
        Strength::Factory
    };

    let verified = message.verify(strength)?;
    let attributes = DeviceAttributes::take(document::read(verified.content(), limits)?)?;
    let certificate = verified.signer().clone();
    if ours {
        return Ok(PhaseMessage::Identity {
            attributes,
            certificate,
        });
    }
    Ok(PhaseMessage::Device {
        attributes,
        certificate,
        chain: verified.certificates().to_vec(),
    })
}

/// Writes a phase-2 or phase-3 message as Apple's devices do (client half): the signature goes straight over the content, without
/// signed attributes.
///
/// # Errors
///
/// [`WriteMessageError`]
pub fn write_message(
    attributes: &DeviceAttributes,
    key: &PrivateKey,
    certificate: &Certificate,
    chain: &[Certificate],
    digest: Digest,
) -> Result<Vec<u8>, WriteMessageError> {
    let content = document::write(&attributes.to_entries())?;
    let signer = Signer::new(key, certificate).chain(chain).digest(digest);
    Ok(signer.without_attributes().sign(&content)?)
}

/// Why a message cannot be written. The caller's doing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteMessageError {
    /// An attribute has no XML form.
    #[error("the device attributes cannot be written")]
    Write(#[from] WriteError),
    /// The key does not work.
    #[error("the enrollment message cannot be signed")]
    Sign(#[from] CmsError),
}
