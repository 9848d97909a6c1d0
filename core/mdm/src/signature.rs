//! The `Mdm-Signature` header: who sends a check-in or connect request.
//!
//! Standard base64, on one line, of a detached CMS SignedData over the request body, signed by the device's identity (Apple,
//! "Pass an Identity Certificate Through a Proxy"). A good signature says which certificate speaks, not that it is one of ours:
//! the caller looks it up. signingTime is not looked at, because device clocks are wrong in both directions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lanyard_pki::cms::{CmsError, SignedMessage, Signer};
use lanyard_pki::{Certificate, PrivateKey, Strength};
use thiserror::Error;

/// Name of the header, in lower case.
pub const HEADER: &str = "mdm-signature";

/// Longest header value looked at, in bytes: an RSA-4096 identity with its chain fits.
pub const MAX_LENGTH: usize = 16 * 1024;

/// Why a header does not prove anything. All of it is the sender's doing, to be answered 400 and never 401.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Longer than [`MAX_LENGTH`].
    #[error("Mdm-Signature has {0} bytes; at most {MAX_LENGTH} are accepted")]
    TooLong(usize),
    /// Not base64.
    #[error("Mdm-Signature is not base64")]
    Encoding(#[source] base64::DecodeError),
    /// Not a detached signature over this body by the certificate inside.
    #[error("Mdm-Signature does not verify over the request body")]
    Signature(#[from] CmsError),
}

/// Verifies a header value over the request body exactly as it came, and returns the signer's certificate.
///
/// # Errors
///
/// See [`SignatureError`].
pub fn verify(header: &[u8], body: &[u8]) -> Result<Certificate, SignatureError> {
    if header.len() > MAX_LENGTH {
        return Err(SignatureError::TooLong(header.len()));
    }
    let message = STANDARD
        .decode(header.trim_ascii())
        .map_err(SignatureError::Encoding)?;
    let message = SignedMessage::parse(&message)?;
    let verified = message.verify_detached(body, Strength::Modern)?;
    Ok(verified.signer().clone())
}

/// Makes the header value for a request body (client half).
///
/// # Errors
///
/// [`CmsError::Key`] when the key does not work.
pub fn create(
    body: &[u8],
    key: &PrivateKey,
    certificate: &Certificate,
) -> Result<String, CmsError> {
    let message = Signer::new(key, certificate).detached().sign(body)?;
    Ok(STANDARD.encode(message))
}
