//! Private keys: made, read and used.

use std::fmt;

use openssl::{
    ec::{EcGroup, EcKey},
    nid::Nid,
    pkey::{PKey, Private},
    pkey_ctx::PkeyCtx,
    rsa::{Padding, Rsa},
    sign::Signer,
};
use zeroize::Zeroizing;

use crate::{Digest, oid};

mod public;

pub use public::{PublicKey, SignatureError, Strength};

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Not a private key in PKCS#8, or in PEM without a password.
    #[error("not an unencrypted private key (PKCS#8, or PEM)")]
    Unreadable(#[source] openssl::error::ErrorStack),
    /// A key type that nothing here uses.
    #[error("the key is neither RSA nor on one of the curves P-256, P-384 and P-521")]
    Unsupported,
    /// OpenSSL could not do what a valid key allows: out of memory, or no randomness.
    #[error("OpenSSL failed to use a key")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

/// A private key in memory. It is never printed.
#[derive(Clone)]
pub struct PrivateKey {
    key: PKey<Private>,
    public: PublicKey,
    /// A secret made from the key, for content keys that are answered instead of an error.
    rejection: Zeroizing<[u8; 32]>,
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
        if !public.is_supported() {
            return Err(KeyError::Unsupported);
        }
        let encoded = Zeroizing::new(key.private_key_to_pkcs8()?);
        Ok(Self {
            rejection: Zeroizing::new(Digest::sha256(&encoded)),
            key,
            public,
        })
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

    /// Opens a content key of `length` octets (PKCS#1 v1.5).
    ///
    /// Whatever was encrypted, a key of that length comes out, so this cannot be asked whether the padding was right:
    /// OpenSSL answers broken padding with pseudo-random octets of pseudo-random length ("implicit rejection"), and what
    /// has another length is replaced by octets that depend on the ciphertext and on what only the key's holder knows.
    pub(crate) fn decrypt_key(
        &self,
        encrypted: &[u8],
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut context = PkeyCtx::new(&self.key)?;
        context.decrypt_init()?;
        context.set_rsa_padding(Padding::PKCS1)?;
        let mut transported = Zeroizing::new(Vec::new());
        context.decrypt_to_vec(encrypted, &mut transported)?;

        let substitute = Zeroizing::new([self.rejection.as_slice(), encrypted].concat());
        let mut chosen = Zeroizing::new(Digest::Sha512.of(&substitute));
        chosen.truncate(length);
        if transported.len() == length {
            chosen.copy_from_slice(&transported);
        }
        Ok(chosen)
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
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::PKey;

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
    fn a_key_is_as_large_as_its_modulus_or_its_curve() {
        let rsa = PrivateKey::generate_rsa(2048).unwrap();
        assert_eq!(rsa.public_key().size(), 2048);
        let p256 = PrivateKey::generate_p256().unwrap();
        assert_eq!(p256.public_key().size(), 256);
        for (curve, size) in [
            (Nid::SECP384R1, 384),
            (Nid::SECP521R1, 521),
            (Nid::SECP256K1, 0),
        ] {
            let group = EcGroup::from_curve_name(curve).unwrap();
            let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
            let public = PublicKey::from_spki(&key.public_key_to_der().unwrap()).unwrap();
            assert_eq!(public.size(), size);
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
