use std::fmt;

use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Private, Public},
    pkey_ctx::PkeyCtx,
    rsa::{Padding, Rsa},
    sign::{Signer, Verifier},
};
use zeroize::Zeroizing;

use crate::{Digest, ObjectIdentifier, asn1::Walk, oid};
use der::Tag;

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a private key in PKCS#8, or in PEM without a password.
    #[error("not an unencrypted private key (PKCS#8, or PEM)")]
    Unreadable(#[source] openssl::error::ErrorStack),
    /// A key type that nothing here uses.
    #[error("the key is neither RSA nor elliptic-curve")]
    Unsupported,
    /// OpenSSL could not do what a valid key allows: out of memory, or no randomness.
    #[error("OpenSSL failed to use a key")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

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
    /// RSA from 2048 to 8192 bits or an elliptic curve, with SHA-2.
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
            Kind::Ec | Kind::Other => true,
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
    Ec,
    Other,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo. Key types unknown here are kept, and verify nothing.
    pub(crate) fn from_spki(spki: &[u8]) -> der::Result<Self> {
        let mut fields = Walk::only(spki)?.expect(Tag::Sequence)?.children()?;
        let algorithm = fields
            .expect(Tag::Sequence)?
            .children()?
            .expect(Tag::ObjectIdentifier)?
            .oid()?;
        let key = fields.expect(Tag::BitString)?;
        fields.end()?;
        let kind = match algorithm {
            oid::RSA_ENCRYPTION => rsa_numbers(key.contents)?,
            oid::EC_PUBLIC_KEY => Kind::Ec,
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
                fields.next()
            })
            .ok()
            .and_then(|bits| bits.contents.get(1..))
            .unwrap_or_default()
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what identifies the key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Digest::sha256(&self.spki)
    }

    /// The modulus' size, if this is an RSA key.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<usize> {
        match self.kind {
            Kind::Rsa { bits, .. } => Some(bits),
            Kind::Ec | Kind::Other => None,
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

    /// Checks a signature whose algorithm is named by `algorithm`: a combined one (sha256WithRSAEncryption), or a bare
    /// rsaEncryption whose digest is named elsewhere.
    pub(crate) fn verify_as(
        &self,
        algorithm: ObjectIdentifier,
        digest: Option<Digest>,
        message: &[u8],
        signature: &[u8],
        strength: Strength,
    ) -> Result<(), SignatureError> {
        let named = Digest::of_signature(algorithm);
        let digest = match (named, digest) {
            (None, Some(digest)) if algorithm == oid::RSA_ENCRYPTION => digest,
            (Some(named), None) => named,
            (Some(named), Some(digest)) if named == digest => named,
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
            Kind::Ec => {
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

/// The modulus and exponent of an RSAPublicKey inside a BIT STRING's contents. Numbers that would make a check an
/// attack (an exponent of more than 33 bits, an even modulus) make a key that verifies nothing.
fn rsa_numbers(bits: &[u8]) -> der::Result<Kind> {
    let Some((0, key)) = bits.split_first() else {
        return Ok(Kind::Other);
    };
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
            Kind::Ec => write!(f, "PublicKey(EC)"),
            Kind::Other => write!(f, "PublicKey(unsupported)"),
        }
    }
}

/// A private key in memory. It is never printed.
#[derive(Clone)]
pub struct PrivateKey {
    key: PKey<Private>,
    public: PublicKey,
}

impl PrivateKey {
    /// A new RSA key. 2048 bits take about 100 ms.
    ///
    /// # Errors
    /// [`KeyError::OpenSsl`]
    pub fn generate_rsa(bits: u32) -> Result<Self, KeyError> {
        Self::new(PKey::from_rsa(Rsa::generate(bits)?)?)
    }

    /// A new key on the curve P-256.
    ///
    /// # Errors
    /// [`KeyError::OpenSsl`]
    pub fn generate_p256() -> Result<Self, KeyError> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        Self::new(PKey::from_ec_key(EcKey::generate(&group)?)?)
    }

    /// Reads PKCS#8 in DER.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Unsupported`]
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Self::new(PKey::private_key_from_pkcs8(der).map_err(KeyError::Unreadable)?)
    }

    /// Reads an unencrypted PEM key: PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Unsupported`]
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        // The empty password keeps OpenSSL from asking the terminal for one.
        Self::new(PKey::private_key_from_pem_passphrase(pem, b"").map_err(KeyError::Unreadable)?)
    }

    pub(crate) fn new(key: PKey<Private>) -> Result<Self, KeyError> {
        let public =
            PublicKey::from_spki(&key.public_key_to_der()?).map_err(|_| KeyError::Unsupported)?;
        if public.kind == Kind::Other {
            return Err(KeyError::Unsupported);
        }
        Ok(Self { key, public })
    }

    /// PKCS#8 in DER.
    ///
    /// # Errors
    /// [`KeyError::OpenSsl`]
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(self.key.private_key_to_pkcs8()?))
    }

    /// PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::OpenSsl`]
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = Zeroizing::new(self.key.private_key_to_pem_pkcs8()?);
        Ok(Zeroizing::new(String::from_utf8_lossy(&pem).into_owned()))
    }

    /// The other half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Whether this is an RSA key, and so can open envelopes.
    #[must_use]
    pub fn is_rsa(&self) -> bool {
        self.public.rsa_bits().is_some()
    }

    /// Signs: PKCS#1 v1.5 by an RSA key, ECDSA in DER by an elliptic-curve one.
    ///
    /// # Errors
    /// [`KeyError::OpenSsl`]
    pub fn sign(&self, digest: Digest, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(Signer::new(digest.openssl(), &self.key)?.sign_oneshot_to_vec(message)?)
    }

    /// The identifier of the signature algorithm, as CMS SignerInfos name it: plain rsaEncryption, because old clients
    /// (strongSwan before 5.9.11) refuse the combined ones.
    pub(crate) fn cms_signature_algorithm(&self, digest: Digest) -> Vec<u8> {
        use crate::asn1::{algorithm_with_null, oid as encoded, sequence};
        if self.is_rsa() {
            return algorithm_with_null(oid::RSA_ENCRYPTION);
        }
        sequence(&[&encoded(match digest {
            Digest::Sha1 => oid::ECDSA_WITH_SHA1,
            Digest::Sha224 => oid::ECDSA_WITH_SHA224,
            Digest::Sha256 => oid::ECDSA_WITH_SHA256,
            Digest::Sha384 => oid::ECDSA_WITH_SHA384,
            Digest::Sha512 => oid::ECDSA_WITH_SHA512,
        })])
    }

    /// The same for certificates and requests: the combined identifiers.
    pub(crate) fn x509_signature_algorithm(&self) -> Vec<u8> {
        use crate::asn1::algorithm_with_null;
        if self.is_rsa() {
            algorithm_with_null(oid::SHA256_WITH_RSA)
        } else {
            self.cms_signature_algorithm(Digest::Sha256)
        }
    }

    /// Opens a content key (PKCS#1 v1.5). Broken padding does not fail: OpenSSL answers pseudo-random octets of
    /// pseudo-random length ("implicit rejection"), so this cannot be asked whether the padding was right.
    pub(crate) fn decrypt_key(&self, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut context = PkeyCtx::new(&self.key)?;
        context.decrypt_init()?;
        context.set_rsa_padding(Padding::PKCS1)?;
        let mut key = Vec::new();
        context.decrypt_to_vec(encrypted, &mut key)?;
        Ok(Zeroizing::new(key))
    }

    pub(crate) fn openssl(&self) -> &PKey<Private> {
        &self.key
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strength_decides_what_verifies() {
        let key = PrivateKey::generate_rsa(1024).unwrap();
        let signature = key.sign(Digest::Sha1, b"text").unwrap();
        for (strength, accepted) in [
            (Strength::Modern, false),
            (Strength::Sha1, false),
            (Strength::Factory, true),
        ] {
            assert_eq!(
                key.public_key()
                    .verify(Digest::Sha1, b"text", &signature, strength)
                    .is_ok(),
                accepted
            );
        }
        assert_eq!(
            key.public_key()
                .verify(Digest::Sha1, b"other", &signature, Strength::Factory),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn keys_survive_their_encodings() {
        for key in [
            PrivateKey::generate_rsa(2048).unwrap(),
            PrivateKey::generate_p256().unwrap(),
        ] {
            let again = PrivateKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
            let pem = PrivateKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
            assert_eq!(
                (again.public_key(), pem.public_key()),
                (key.public_key(), key.public_key())
            );
            let signature = key.sign(Digest::Sha256, b"text").unwrap();
            assert_eq!(
                again
                    .public_key()
                    .verify(Digest::Sha256, b"text", &signature, Strength::Modern),
                Ok(())
            );
        }
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(
            format!("{:?}", PrivateKey::generate_p256().unwrap()),
            "PrivateKey(PublicKey(EC))"
        );
    }
}
