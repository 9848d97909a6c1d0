//! Documents under a signature: what the server sends during enrollment, and how a device opens it.
//!
//! CMS SignedData with the document attached (RFC 5652). Devices show "Verified" only when the whole chain is inside, root
//! included, so the signer carries all of it.

use lanyard_pki::cms::{CmsError, SignedMessage, Signer};
use lanyard_pki::{Certificate, PrivateKey, Strength};
use thiserror::Error;

/// Who signs documents.
#[derive(Debug, Clone, Copy)]
pub struct SigningIdentity<'a> {
    /// The key; RSA or elliptic curve.
    pub key: &'a PrivateKey,
    /// Its certificate.
    pub certificate: &'a Certificate,
    /// The certificates above it, root last and included.
    pub chain: &'a [Certificate],
}

/// A document with a good signature. Whether its signer is to be trusted is for the caller to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedDocument {
    /// The document.
    pub content: Vec<u8>,
    /// Who signed it.
    pub signer: Certificate,
    /// All certificates in the message, the signer's among them; unverified.
    pub certificates: Vec<Certificate>,
}

/// Bytes that are not a signed document.
#[derive(Debug, Error)]
#[error("the document is not signed, or its signature does not hold")]
pub struct NotSigned(#[from] CmsError);

/// Signs a document with SHA-256; DER.
///
/// # Errors
///
/// [`CmsError::Key`] when the key does not work.
pub fn sign(document: &[u8], identity: SigningIdentity<'_>) -> Result<Vec<u8>, CmsError> {
    Signer::new(identity.key, identity.certificate)
        .chain(identity.chain)
        .sign(document)
}

/// Opens a signed document (client half).
///
/// # Errors
///
/// [`NotSigned`]; a bare property list is not signed.
pub fn open(message: &[u8]) -> Result<SignedDocument, NotSigned> {
    let message = SignedMessage::parse(message)?;
    let verified = message.verify(Strength::Modern)?;
    Ok(SignedDocument {
        content: verified.content().to_vec(),
        signer: verified.signer().clone(),
        certificates: verified.certificates().to_vec(),
    })
}
