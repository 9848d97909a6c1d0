//! X.509 and CMS as device management needs them: what devices send is read leniently, what we send is written strictly.
//! Certificates are read, requested and issued here, messages signed, verified, encrypted and decrypted, secrets sealed
//! for storage. The crate knows nothing of SCEP, of Apple or of plugins, does no I/O and reads no clock: time is an
//! argument, and the only randomness drawn here is cryptographic (keys, content keys, IVs, signature blinding).
//!
//! It is the only crate of the workspace that names `openssl`, `rcgen`, `x509-parser` or `der`.
//!
//! | what | where |
//! |---|---|
//! | keys and signatures | [`PrivateKey`], [`PublicKey`], [`Digest`], [`Strength`] |
//! | certificates (RFC 5280) | [`Certificate`], [`Name`], [`KeyUsage`] |
//! | certification requests (RFC 2986) | [`CertificationRequest`] |
//! | issuing | [`Authority`], [`Template`] |
//! | CMS (RFC 5652): SignedData, EnvelopedData | [`cms`] |
//! | BER, as devices send it, to DER | [`ber`] |
//! | encryption at rest | [`seal`] |
//! | PKCS#12 files | [`pkcs12`] |
//!
//! ```
//! use std::time::{Duration, UNIX_EPOCH};
//! use lanyard_pki::{
//!     Authority, KeyUsage, Name, NameAttribute, PrivateKey, SerialNumber, Strength, Template,
//! };
//!
//! let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let root = Template {
//!     subject: Name::new(&[(NameAttribute::CommonName, "Example root")]),
//!     serial: SerialNumber::from_random([1; 16]),
//!     not_before: now,
//!     not_after: now + Duration::from_secs(86_400),
//!     key_usage: KeyUsage::KEY_CERT_SIGN,
//!     extended_key_usage: Vec::new(),
//!     alternative_names: Vec::new(),
//!     authority: Some(0),
//!     permitted_hosts: Vec::new(),
//! };
//! let authority = Authority::self_signed(PrivateKey::generate_p256()?, &root)?;
//! let device = Template {
//!     subject: Name::new(&[(NameAttribute::CommonName, "iPhone")]),
//!     serial: SerialNumber::from_random([2; 16]),
//!     key_usage: KeyUsage::DIGITAL_SIGNATURE,
//!     authority: None,
//!     permitted_hosts: Vec::new(),
//!     ..root
//! };
//! let key = PrivateKey::generate_p256()?;
//! let certificate = authority.danger_issue(&device, key.public_key())?;
//! certificate.verify_signed_by(authority.key().public_key(), Strength::Modern)?;
//! assert_eq!(certificate.subject().to_string(), "CN=iPhone");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod asn1;
pub mod ber;
mod certificate;
pub mod cms;
mod digest;
mod issue;
mod key;
mod name;
pub mod oid;
pub mod pkcs12;
mod request;
pub mod seal;

pub use certificate::{Certificate, CertificateError, KeyUsage};
pub use der::asn1::ObjectIdentifier;
pub use digest::Digest;
pub use issue::{AlternativeName, Authority, ExtendedKeyUsage, IssueError, SerialNumber, Template};
pub use key::{KeyError, PrivateKey, PublicKey, SignatureError, Strength};
pub use name::{Name, NameAttribute};
pub use request::{CertificationRequest, RequestError};

/// Refuses to go on with an OpenSSL whose RSA decryption can be used as an oracle.
///
/// From 3.2 on, OpenSSL answers broken PKCS#1 v1.5 padding with pseudo-random bytes ("implicit rejection"); older
/// versions report an error that an attacker can tell apart. The default build carries its own OpenSSL; this guards
/// builds against a system library. Call it once at start.
///
/// # Errors
/// A sentence that names the version found.
pub fn require_safe_openssl() -> Result<(), String> {
    const IMPLICIT_REJECTION: i64 = 0x3020_0000;
    if openssl::version::number() >= IMPLICIT_REJECTION {
        return Ok(());
    }
    Err(format!(
        "this build uses {}, whose RSA decryption is an oracle; OpenSSL 3.2 or later is required (the default build brings its own)",
        openssl::version::version()
    ))
}
