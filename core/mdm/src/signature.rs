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

/// A header value that was read and proves nothing yet.
#[derive(Debug)]
pub struct Claim(SignedMessage);

impl Claim {
    /// Reads a header value.
    ///
    /// # Errors
    ///
    /// See [`SignatureError`].
    pub fn read(header: &[u8]) -> Result<Self, SignatureError> {
        if header.len() > MAX_LENGTH {
            return Err(SignatureError::TooLong(header.len()));
        }
        let message = STANDARD
            .decode(header.trim_ascii())
            .map_err(SignatureError::Encoding)?;
        Ok(Self(SignedMessage::parse(&message)?))
    }

    /// The certificate that is said to speak. Look it up before verifying anything: a stranger's signature is not worth the
    /// computing, of which strangers could ask for a lot.
    ///
    /// # Errors
    ///
    /// [`CmsError::NoSignerCertificate`]
    pub fn unverified_signer(&self) -> Result<&Certificate, SignatureError> {
        Ok(self
            .0
            .unverified_signer()
            .ok_or(CmsError::NoSignerCertificate)?)
    }

    /// Verifies the claim over the request body exactly as it came. The answer is the signer's certificate.
    ///
    /// # Errors
    ///
    /// See [`SignatureError`].
    pub fn verify(&self, body: &[u8]) -> Result<Certificate, SignatureError> {
        let verified = self.0.verify_detached(body, Strength::Modern)?;
        Ok(verified.signer().clone())
    }
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
