//! The digests that are accepted, and how each is named.

use openssl::hash::MessageDigest;

use crate::{ObjectIdentifier, oid};

/// A digest algorithm of signatures and messages. MD5 is not here, so nothing can accept it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// SHA-1, 20 octets: only where a caller allows weak signatures, see [`Strength`](crate::Strength).
    Sha1,
    /// SHA-224, 28 octets.
    Sha224,
    /// SHA-256, 32 octets: what we sign with.
    Sha256,
    /// SHA-384, 48 octets.
    Sha384,
    /// SHA-512, 64 octets.
    Sha512,
}

impl Digest {
    /// All of them, weakest first.
    pub const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The algorithm that this identifier names.
    #[must_use]
    pub fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|digest| digest.oid() == oid)
    }

    /// The algorithm's identifier.
    #[must_use]
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => oid::SHA1,
            Self::Sha224 => oid::SHA224,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
        }
    }

    /// The digest of `data`.
    #[must_use]
    pub fn of(self, data: &[u8]) -> Vec<u8> {
        openssl::hash::hash(self.openssl(), data)
            .expect("SHA-1 and SHA-2 are in every OpenSSL provider")
            .to_vec()
    }

    /// The SHA-256 of `data`, as the fixed-size value that fingerprints are.
    #[must_use]
    pub fn sha256(data: &[u8]) -> [u8; 32] {
        openssl::sha::sha256(data)
    }

    pub(crate) fn openssl(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha224 => MessageDigest::sha224(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }

    /// The digest of an RSA signature algorithm such as sha256WithRSAEncryption.
    pub(crate) fn of_rsa_signature(algorithm: ObjectIdentifier) -> Option<Self> {
        Some(match algorithm {
            oid::SHA1_WITH_RSA => Self::Sha1,
            oid::SHA224_WITH_RSA => Self::Sha224,
            oid::SHA256_WITH_RSA => Self::Sha256,
            oid::SHA384_WITH_RSA => Self::Sha384,
            oid::SHA512_WITH_RSA => Self::Sha512,
            _ => return None,
        })
    }

    /// The digest of an ECDSA signature algorithm such as ecdsa-with-SHA256.
    pub(crate) fn of_ecdsa_signature(algorithm: ObjectIdentifier) -> Option<Self> {
        Some(match algorithm {
            oid::ECDSA_WITH_SHA1 => Self::Sha1,
            oid::ECDSA_WITH_SHA224 => Self::Sha224,
            oid::ECDSA_WITH_SHA256 => Self::Sha256,
            oid::ECDSA_WITH_SHA384 => Self::Sha384,
            oid::ECDSA_WITH_SHA512 => Self::Sha512,
            _ => return None,
        })
    }
}
