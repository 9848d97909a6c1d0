//! Whether a certificate is the factory identity of an Apple device.
//!
//! Apple's issuing authorities are expired, one signs with SHA-1 and has an RSA-1024 key: no ordinary path validation accepts
//! them. They are walked by hand here, for this purpose alone, with their dates ignored and every certificate above the leaf
//! pinned by its SHA-256 fingerprint. Pinning the root would not do: under Apple Root CA hang the authorities that issue
//! certificates to every registered developer, too.
//!
//! What it proves is "made by Apple", never "this device": the name in the certificate is not the UDID.

use std::fmt;

use lanyard_pki::{Certificate, Strength};
use thiserror::Error;

/// SHA-256 of "Apple Root CA", DER.
pub const APPLE_ROOT_CA: [u8; 32] = [
    0xb0, 0xb1, 0x73, 0x0e, 0xcb, 0xc7, 0xff, 0x45, 0x05, 0x14, 0x2c, 0x49, 0xf1, 0x29, 0x5e,
    0x6e, //
    0xda, 0x6b, 0xca, 0xed, 0x7e, 0x2c, 0x68, 0xc5, 0xbe, 0x91, 0xb5, 0xa1, 0x10, 0x01, 0xf0, 0x24,
];

/// SHA-256 of "Apple iPhone Certification Authority" (until 2022-04-12), DER.
const APPLE_IPHONE_CA: [u8; 32] = [
    0xe4, 0xe2, 0x93, 0x6d, 0x3c, 0x07, 0x6e, 0xc4, 0xae, 0xa8, 0xac, 0x37, 0x27, 0x75, 0x24,
    0x95, //
    0x0c, 0xa0, 0x05, 0x89, 0x4b, 0x39, 0xbb, 0xa2, 0xd3, 0x47, 0xfa, 0x33, 0x15, 0x5a, 0xe5, 0xfa,
];

/// SHA-256 of "Apple iPhone Device CA" (until 2014-04-16), DER.
const APPLE_IPHONE_DEVICE_CA: [u8; 32] = [
    0x76, 0xf2, 0x7d, 0x00, 0xe1, 0x33, 0x3b, 0xc8, 0x8d, 0xe0, 0xe2, 0x91, 0x6c, 0x38, 0xc9,
    0xa7, //
    0xf2, 0xb7, 0x57, 0x74, 0xc2, 0x5a, 0x79, 0x4c, 0x09, 0x2a, 0x80, 0xe3, 0xc4, 0xc6, 0x6c, 0xce,
];

/// Apple's factory chain, from the issuer of leaves to the root.
const APPLE_CHAIN: [[u8; 32]; 3] = [APPLE_IPHONE_DEVICE_CA, APPLE_IPHONE_CA, APPLE_ROOT_CA];

/// Authorities above a leaf that are walked; Apple's chain has three.
const MAX_AUTHORITIES: usize = 4;
/// Certificates of the right name whose signature is tried for one step: several only where somebody makes them up.
const MAX_CANDIDATES: usize = 2;

/// Whom to believe that a device came from a factory.
#[derive(Debug, Clone, Default)]
pub struct FactoryTrust {
    apple: Vec<Certificate>,
    roots: Vec<Certificate>,
}

/// What the signer of a phase-2 message was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// A factory identity of Apple's.
    Apple,
    /// A factory identity of an authority that the operator added: a test bench, the simulated device.
    Trusted {
        /// SHA-256 of the operator's root, DER.
        root_sha256: [u8; 32],
    },
    /// No factory identity that is known here.
    None(NotAttested),
}

/// Why a signer is no known factory identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAttested {
    /// It is signed by itself.
    SelfSigned,
    /// The certificate of an issuer is neither in the message nor configured.
    NoIssuer {
        /// The issuer that is missing.
        issuer: String,
    },
    /// The chain ends at a root that nobody named.
    UnknownRoot {
        /// The root.
        subject: String,
        /// SHA-256 of it, DER.
        sha256: [u8; 32],
    },
    /// The chain ends at Apple's root, but does not come through the device authority: a developer's certificate, say.
    NotDeviceAuthority {
        /// Who issued the signer's certificate.
        issuer: String,
    },
    /// The chain is longer than any factory's.
    TooLong,
}

impl fmt::Display for NotAttested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfSigned => f.write_str("the certificate is signed by itself"),
            Self::NoIssuer { issuer } => write!(f, "the certificate of {issuer} is not known"),
            Self::UnknownRoot { subject, .. } => {
                write!(f, "the root {subject} is not a trusted factory root")
            }
            Self::NotDeviceAuthority { issuer } => {
                write!(f, "{issuer} of Apple issues no device identities")
            }
            Self::TooLong => write!(
                f,
                "there are more than {MAX_AUTHORITIES} authorities above it"
            ),
        }
    }
}

/// Certificates that are not what they were given for. The operator's doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FactoryError {
    /// A certificate that is none of Apple's three.
    #[error(
        "{subject} is not one of Apple's factory authorities; expected Apple iPhone Device CA, Apple iPhone Certification Authority and Apple Root CA"
    )]
    NotApple {
        /// Whose certificate it is.
        subject: String,
    },
    /// A root that is no authority.
    #[error("{subject} is not a certificate authority")]
    NotAuthority {
        /// Whose certificate it is.
        subject: String,
    },
}

impl FactoryTrust {
    /// Believes Apple, with the chain from a message only. Messages without it need [`FactoryTrust::with_apple`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds Apple's authorities from a file that the operator named. Each is compared with its published fingerprint.
    ///
    /// # Errors
    ///
    /// [`FactoryError::NotApple`] for any other certificate in the file.
    pub fn with_apple(mut self, certificates: Vec<Certificate>) -> Result<Self, FactoryError> {
        for certificate in &certificates {
            if !APPLE_CHAIN.contains(&certificate.fingerprint()) {
                let subject = certificate.subject().to_string();
                return Err(FactoryError::NotApple { subject });
            }
        }
        self.apple.extend(certificates);
        Ok(self)
    }

    /// Adds a factory root of the operator's own.
    ///
    /// # Errors
    ///
    /// [`FactoryError::NotAuthority`] when the certificate is not one of an authority.
    pub fn with_root(mut self, root: Certificate) -> Result<Self, FactoryError> {
        if !root.is_authority() {
            let subject = root.subject().to_string();
            return Err(FactoryError::NotAuthority { subject });
        }
        self.roots.push(root);
        Ok(self)
    }

    /// Walks from `leaf` up, with the configured certificates and those that came in the message. Dates are not looked at.
    #[must_use]
    pub fn attest(&self, leaf: &Certificate, message: &[Certificate]) -> Attestation {
        let mut path: Vec<&Certificate> = Vec::new();
        let mut top = leaf;
        loop {
            if let Some(root) = path.iter().find(|authority| self.roots.contains(authority)) {
                let root_sha256 = root.fingerprint();
                return Attestation::Trusted { root_sha256 };
            }
            if top.subject() == top.issuer() {
                return top_of(leaf, &path);
            }
            if path.len() == MAX_AUTHORITIES {
                return Attestation::None(NotAttested::TooLong);
            }
            match self.issuer_of(top, message) {
                Some(issuer) => {
                    path.push(issuer);
                    top = issuer;
                }
                None => {
                    let issuer = top.issuer().to_string();
                    return Attestation::None(NotAttested::NoIssuer { issuer });
                }
            }
        }
    }

    /// The authority that really signed `certificate`. What is configured goes first, so that a message cannot steer the walk
    /// away from it.
    fn issuer_of<'a>(
        &'a self,
        certificate: &Certificate,
        message: &'a [Certificate],
    ) -> Option<&'a Certificate> {
        let named = |candidate: &&Certificate| {
            candidate.is_authority() && candidate.subject() == certificate.issuer()
        };
        let configured = self.roots.iter().chain(&self.apple).filter(named);
        let came_along = message.iter().filter(named).take(MAX_CANDIDATES);
        configured.chain(came_along).find(|candidate| {
            certificate
                .verify_signed_by(candidate.public_key(), Strength::Factory)
                .is_ok()
        })
    }
}

/// Judges a path that ended at a self-issued certificate which the operator did not name.
fn top_of(leaf: &Certificate, path: &[&Certificate]) -> Attestation {
    let Some(root) = path.last() else {
        return Attestation::None(NotAttested::SelfSigned);
    };
    let fingerprints: Vec<[u8; 32]> = path
        .iter()
        .map(|authority| authority.fingerprint())
        .collect();
    if fingerprints == APPLE_CHAIN {
        return Attestation::Apple;
    }
    let sha256 = root.fingerprint();
    Attestation::None(if sha256 == APPLE_ROOT_CA {
        NotAttested::NotDeviceAuthority {
            issuer: leaf.issuer().to_string(),
        }
    } else {
        NotAttested::UnknownRoot {
            subject: root.subject().to_string(),
            sha256,
        }
    })
}
