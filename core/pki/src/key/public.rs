//! Public keys, and which of their signatures are accepted.

use std::fmt;

use der::Tag;
use openssl::{
    bn::BigNum,
    pkey::{PKey, Public},
    pkey_ctx::PkeyCtx,
    rsa::{Padding, Rsa},
    sign::Verifier,
};

use crate::{
    Digest, ObjectIdentifier,
    asn1::{self, Walk},
    oid,
};

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature is not by this key over these octets.
    #[error("the signature does not verify")]
    Mismatch,
    /// A digest or a key size below what the caller asked for, or a key so large that checking it is an attack.
    #[error("the signature uses a digest or key size that is not accepted here")]
    Strength,
    /// A key type or signature algorithm that nothing here knows.
    #[error("the signature algorithm is unknown or does not fit the key")]
    Algorithm,
}

/// How weak a signature may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// RSA from 2048 to 8192 bits or the curves P-256, P-384 and P-521, with SHA-2.
    Modern,
    /// As `Modern`, and SHA-1: SCEP clients of old routers and computers.
    Sha1,
    /// As `Sha1`, and RSA from 1024 bits: Apple's factory chain, which has both.
    Factory,
}

impl Strength {
    fn accepts(self, key: &PublicKey, digest: Digest) -> bool {
        let smallest = if self == Self::Factory { 1024 } else { 2048 };
        let size = match key.kind {
            Kind::Rsa { bits, .. } => (smallest..=8192).contains(&bits),
            Kind::Ec { .. } | Kind::Other => true,
        };
        size && (digest != Digest::Sha1 || self != Self::Modern)
    }
}

/// A public key as it stands in a certificate: SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Rsa {
        bits: usize,
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    Ec {
        bits: usize,
    },
    Other,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo. Key types unknown here are kept, and verify nothing.
    pub(crate) fn from_spki(spki: &[u8]) -> der::Result<Self> {
        let mut fields = Walk::only(spki)?.expect(Tag::Sequence)?.children()?;
        let algorithm = fields.next()?.algorithm()?;
        let key = fields.next()?.whole_bits()?;
        fields.end()?;
        let kind = match algorithm.kind {
            oid::RSA_ENCRYPTION => rsa_numbers(key)?,
            oid::EC_PUBLIC_KEY => {
                curve_bits(algorithm.parameters).map_or(Kind::Other, |bits| Kind::Ec { bits })
            }
            _ => Kind::Other,
        };
        Ok(Self {
            spki: spki.to_vec(),
            kind,
        })
    }

    /// The SubjectPublicKeyInfo in DER, as it came.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The contents of the BIT STRING, without its count of unused bits.
    pub(crate) fn bits(&self) -> &[u8] {
        Walk::only(&self.spki)
            .and_then(|spki| spki.children())
            .and_then(|mut fields| {
                fields.next()?;
                fields.next()?.whole_bits()
            })
            .unwrap_or_default()
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what identifies the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Digest::sha256(&self.spki)
    }

    pub(super) fn is_supported(&self) -> bool {
        self.kind != Kind::Other
    }

    /// The key's size: of the modulus, or of the curve. 0 if the key is of a type unknown here.
    #[must_use]
    pub fn size(&self) -> usize {
        match self.kind {
            Kind::Rsa { bits, .. } | Kind::Ec { bits } => bits,
            Kind::Other => 0,
        }
    }

    /// The modulus' size, if this is an RSA key.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<usize> {
        match self.kind {
            Kind::Rsa { bits, .. } => Some(bits),
            Kind::Ec { .. } | Kind::Other => None,
        }
    }

    /// Checks a signature (PKCS#1 v1.5 or ECDSA) over `message`.
    ///
    /// # Errors
    /// [`SignatureError`]
    pub fn verify(
        &self,
        digest: Digest,
        message: &[u8],
        signature: &[u8],
        strength: Strength,
    ) -> Result<(), SignatureError> {
        if !strength.accepts(self, digest) {
            return Err(SignatureError::Strength);
        }
        let key = self.openssl()?;
        let matches = Verifier::new(digest.openssl(), &key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, message))
            .unwrap_or(false);
        if matches {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }

    /// Checks a signature whose algorithm is named by `algorithm`: a combined one (sha256WithRSAEncryption), or one that
    /// only names the key's type and whose digest is named elsewhere. CMS has the latter from everybody for RSA, and from
    /// Microsoft's and Apple's writers for elliptic curves.
    pub(crate) fn verify_as(
        &self,
        algorithm: ObjectIdentifier,
        digest: Option<Digest>,
        message: &[u8],
        signature: &[u8],
        strength: Strength,
    ) -> Result<(), SignatureError> {
        let (bare, combined) = match self.kind {
            Kind::Rsa { .. } => (oid::RSA_ENCRYPTION, Digest::of_rsa_signature(algorithm)),
            Kind::Ec { .. } => (oid::EC_PUBLIC_KEY, Digest::of_ecdsa_signature(algorithm)),
            Kind::Other => return Err(SignatureError::Algorithm),
        };
        let digest = match (combined, digest) {
            (None, Some(digest)) if algorithm == bare => digest,
            (Some(combined), None) => combined,
            (Some(combined), Some(digest)) if combined == digest => combined,
            _ => return Err(SignatureError::Algorithm),
        };
        self.verify(digest, message, signature, strength)
    }

    fn openssl(&self) -> Result<PKey<Public>, SignatureError> {
        match &self.kind {
            Kind::Rsa {
                modulus, exponent, ..
            } => {
                // Built from its numbers: decoding the whole structure costs OpenSSL five times the verification.
                BigNum::from_slice(modulus)
                    .and_then(|n| Rsa::from_public_components(n, BigNum::from_slice(exponent)?))
                    .and_then(PKey::from_rsa)
                    .map_err(|_| SignatureError::Algorithm)
            }
            Kind::Ec { .. } => {
                PKey::public_key_from_der(&self.spki).map_err(|_| SignatureError::Algorithm)
            }
            Kind::Other => Err(SignatureError::Algorithm),
        }
    }

    /// Encrypts a content key (PKCS#1 v1.5, the only transport that every client takes).
    pub(crate) fn encrypt_key(&self, content_key: &[u8]) -> Result<Vec<u8>, SignatureError> {
        if self.rsa_bits().is_none() {
            return Err(SignatureError::Algorithm);
        }
        let key = self.openssl()?;
        let encrypt = || {
            let mut context = PkeyCtx::new(&key)?;
            context.encrypt_init()?;
            context.set_rsa_padding(Padding::PKCS1)?;
            let mut encrypted = Vec::new();
            context.encrypt_to_vec(content_key, &mut encrypted)?;
            Ok::<_, openssl::error::ErrorStack>(encrypted)
        };
        encrypt().map_err(|_| SignatureError::Algorithm)
    }
}

/// Curves given by their parameters instead of a name are not known: checking whether they are curves costs what the
/// sender likes.
fn curve_bits(parameters: Option<asn1::Element<'_>>) -> Option<usize> {
    match parameters?.oid().ok()? {
        oid::P256 => Some(256),
        oid::P384 => Some(384),
        oid::P521 => Some(521),
        _ => None,
    }
}

/// The modulus and exponent of an RSAPublicKey. Numbers that would make a check an
/// attack (an exponent of more than 33 bits, an even modulus) make a key that verifies nothing.
fn rsa_numbers(key: &[u8]) -> der::Result<Kind> {
    let mut numbers = Walk::only(key)?.expect(Tag::Sequence)?.children()?;
    let strip = |mut octets: &[u8]| {
        while let [0, rest @ ..] = octets {
            octets = rest;
        }
        octets.to_vec()
    };
    let modulus = strip(numbers.expect(Tag::Integer)?.contents);
    let exponent = strip(numbers.expect(Tag::Integer)?.contents);
    numbers.end()?;
    let (Some(&high), Some(&low)) = (modulus.first(), modulus.last()) else {
        return Ok(Kind::Other);
    };
    let odd = low & 1 == 1 && exponent.last().is_some_and(|octet| octet & 1 == 1);
    let exponent_fits = exponent.len() < 5 || (exponent.len() == 5 && exponent[0] <= 1);
    if !odd || !exponent_fits || exponent == [1] {
        return Ok(Kind::Other);
    }
    let bits = modulus.len() * 8 - high.leading_zeros() as usize;
    Ok(Kind::Rsa {
        bits,
        modulus,
        exponent,
    })
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Rsa { bits, .. } => write!(f, "PublicKey(RSA {bits})"),
            Kind::Ec { .. } => write!(f, "PublicKey(EC)"),
            Kind::Other => write!(f, "PublicKey(unsupported)"),
        }
    }
}
