//! Encryption at rest: secrets go into the database sealed, under a key that the operator keeps beside it.
//!
//! A sealed value is AES-256-GCM: one octet of version (1), four octets that name the key, a random nonce of twelve
//! octets, the ciphertext, a tag of sixteen octets: 33 octets more than the secret. The context (which column of which
//! row) is authenticated, so that a sealed value cannot be moved to another row.

mod ring;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openssl::{
    memcmp,
    pkey::PKey,
    sign::Signer,
    symm::{self, Cipher},
};
use zeroize::Zeroizing;

use crate::Digest;

pub use ring::{KeyId, KeyRing, MacRing, sealed_with};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEADER: usize = 1 + 4 + NONCE;

/// A value could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The text is not a sealing key.
    #[error("not a sealing key: 44 characters of base64 (32 octets) are expected")]
    Key,
    /// Two keys of a ring have one id.
    #[error("two of the sealing keys are the same, or have the same id: keep one of them")]
    Alike,
    /// The text is not a key's id.
    #[error("not the id of a sealing key: eight hex digits are expected")]
    Id,
    /// Not a sealed value at all.
    #[error("the sealed value is damaged: it is too short or of an unknown version")]
    Damaged,
    /// Sealed under another key.
    #[error("the value was sealed under another key than those in the key file")]
    OtherKey,
    /// Changed, or taken from another place.
    #[error("the sealed value was changed or belongs to another place")]
    Forged,
}

/// A key that seals values and from which other keys are derived.
#[derive(Clone)]
pub struct SealingKey {
    key: Zeroizing<[u8; 32]>,
    id: KeyId,
}

impl SealingKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        openssl::rand::rand_bytes(&mut *key).expect("the system has randomness");
        Self::new(key)
    }

    fn new(key: Zeroizing<[u8; 32]>) -> Self {
        let digest = Digest::sha256(&[b"lanyard sealing key", key.as_slice()].concat());
        Self {
            key,
            id: KeyId([digest[0], digest[1], digest[2], digest[3]]),
        }
    }

    /// Reads the base64 that [`Self::to_text`] writes; white space around it is passed over.
    ///
    /// # Errors
    /// [`SealError::Key`]
    pub fn from_text(text: &str) -> Result<Self, SealError> {
        let octets = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| SealError::Key)?);
        let key = octets.as_slice().try_into().map_err(|_| SealError::Key)?;
        Ok(Self::new(Zeroizing::new(key)))
    }

    /// The key as base64, for a file that only the server can read.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.key.as_slice()))
    }

    /// What it is called in sealed values.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Seals a secret for one place.
    #[must_use]
    pub fn seal(&self, context: &str, secret: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        openssl::rand::rand_bytes(&mut nonce).expect("the system has randomness");
        let mut tag = [0; TAG];
        let ciphertext = symm::encrypt_aead(
            Cipher::aes_256_gcm(),
            self.key.as_slice(),
            Some(&nonce),
            context.as_bytes(),
            secret,
            &mut tag,
        )
        .expect("AES-256-GCM takes any secret of less than 64 GiB");
        [&[VERSION], self.id.0.as_slice(), &nonce, &ciphertext, &tag].concat()
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`SealError`]
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() < HEADER + TAG || sealed[0] != VERSION {
            return Err(SealError::Damaged);
        }
        let (header, rest) = sealed.split_at(HEADER);
        let (ciphertext, tag) = rest.split_at(rest.len() - TAG);
        if header[1..5] != self.id.0 {
            return Err(SealError::OtherKey);
        }
        symm::decrypt_aead(
            Cipher::aes_256_gcm(),
            self.key.as_slice(),
            Some(&header[5..]),
            context.as_bytes(),
            ciphertext,
            tag,
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::Forged)
    }

    /// A key for something else, which tells nothing about this one.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> MacKey {
        let derived = MacKey(Zeroizing::new(*self.key)).tag(purpose.as_bytes());
        MacKey(Zeroizing::new(derived))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

/// A key for message authentication: HMAC-SHA-256 (RFC 2104).
#[derive(Clone)]
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    /// The authentication tag of a message.
    #[must_use]
    pub fn tag(&self, message: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        PKey::hmac(self.0.as_slice())
            .and_then(|key| {
                Signer::new(Digest::Sha256.openssl(), &key)?.sign_oneshot(&mut tag, message)
            })
            .expect("HMAC-SHA-256 is in every OpenSSL provider");
        tag
    }

    /// Whether the tag is the message's; takes the same time for every tag of the right length.
    #[must_use]
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        tag.len() == 32 && memcmp::eq(&self.tag(message), tag)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let key = SealingKey::from_text(&SealingKey::generate().to_text()).unwrap();
        let sealed = key.seal("device.token/1", b"secret");
        assert_eq!(sealed.len(), 6 + 33);
        assert_eq!(
            key.open("device.token/1", &sealed).unwrap().as_slice(),
            b"secret"
        );
        assert_eq!(key.open("device.token/2", &sealed), Err(SealError::Forged));
        assert_eq!(
            SealingKey::generate().open("device.token/1", &sealed),
            Err(SealError::OtherKey)
        );
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(
                key.open("device.token/1", &changed).is_err(),
                "octet {index}"
            );
        }
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let key = SealingKey::generate();
        let tag = key.derive("a").tag(b"message");
        assert!(key.derive("a").verify(b"message", &tag));
        assert!(!key.derive("b").verify(b"message", &tag));
        assert!(!key.derive("a").verify(b"message", &tag[..31]));
    }
}
