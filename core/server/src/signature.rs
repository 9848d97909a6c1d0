//! Signatures of plugins, by minisign: who vouches for a component. The signature stands beside the file, as `FILE.minisig`.

use std::io::Cursor;

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox, SignatureBox};
use serde::Deserialize;

/// What the file of a signature is called, behind the component's name.
pub(crate) const EXTENSION: &str = ".minisig";

/// Longest signature that is looked at, in bytes: one has about 300.
const MOST_BYTES: usize = 4096;

/// A signature or a key is not good.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefused {
    /// Nobody vouches for the component.
    #[error("it is not signed; `lanyard plugin sign` writes a signature beside it")]
    Absent,
    /// What should be a signature is none.
    #[error("its signature is none of minisign's: {0}")]
    Malformed(String),
    /// Somebody else's signature.
    #[error(
        "it is signed by none of the trusted keys; `lanyard plugin sign` signs it with another"
    )]
    Foreign,
    /// The signature is of other octets.
    #[error("its signature does not fit: the component or the signature was changed")]
    Forged,
    /// What should be a public key is none.
    #[error("{0:?} is no public key of minisign: 56 characters that begin with RW are expected")]
    Key(String),
    /// No key could be made.
    #[error("no key can be made: {0}")]
    NoKey(String),
    /// What should be a secret key is none.
    #[error("no secret key without a password; `lanyard plugin keygen` makes one: {0}")]
    SecretKey(String),
}

/// Who may vouch for plugins: public keys as minisign writes them, on one line each, `RWQ…`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct TrustedKeys(Vec<PublicKey>);

impl TryFrom<Vec<String>> for TrustedKeys {
    type Error = SignatureRefused;

    fn try_from(keys: Vec<String>) -> Result<Self, SignatureRefused> {
        let keys = keys.into_iter().map(|key| {
            PublicKey::from_base64(key.trim()).map_err(|_| SignatureRefused::Key(key.clone()))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedKeys {
    /// Whether a component may be bound: one of the keys vouches for it, or there are none, and nobody has to. A signature that is there
    /// has to be one all the same.
    ///
    /// # Errors
    /// [`SignatureRefused`]
    pub(crate) fn admit(
        &self,
        component: &[u8],
        signature: Option<&str>,
    ) -> Result<(), SignatureRefused> {
        if self.0.is_empty() {
            return signature.map_or(Ok(()), |signature| parse(signature).map(drop));
        }
        self.check(component, signature)
    }

    /// Whether one of them vouches for these octets.
    ///
    /// # Errors
    /// [`SignatureRefused`]
    pub(crate) fn check(
        &self,
        component: &[u8],
        signature: Option<&str>,
    ) -> Result<(), SignatureRefused> {
        let signature = parse(signature.ok_or(SignatureRefused::Absent)?)?;
        let mut of_it = self
            .0
            .iter()
            .filter(|key| key.keynum() == signature.keynum())
            .peekable();
        if of_it.peek().is_none() {
            return Err(SignatureRefused::Foreign);
        }
        // Quiet, without a copy to standard output, and only signatures of a digest.
        let holds = |key: &PublicKey| {
            minisign::verify(key, &signature, Cursor::new(component), true, false, false).is_ok()
        };
        if of_it.any(holds) {
            Ok(())
        } else {
            Err(SignatureRefused::Forged)
        }
    }
}

fn parse(signature: &str) -> Result<SignatureBox, SignatureRefused> {
    if signature.len() > MOST_BYTES {
        let said = format!("it has {} bytes", signature.len());
        return Err(SignatureRefused::Malformed(said));
    }
    SignatureBox::from_string(signature)
        .map_err(|error| SignatureRefused::Malformed(error.to_string()))
}

/// A new key pair: the secret key's file, and the public key on one line.
///
/// # Errors
/// [`SignatureRefused::NoKey`]: the system has no randomness.
pub(crate) fn new_key() -> Result<(String, String), SignatureRefused> {
    let refused = |error: minisign::PError| SignatureRefused::NoKey(error.to_string());
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().map_err(refused)?;
    let file = sk.to_box(None).map_err(refused)?;
    Ok((file.into_string(), pk.to_base64()))
}

/// Signs a component with a secret key's file.
///
/// # Errors
/// [`SignatureRefused::SecretKey`]
pub(crate) fn sign(
    secret_key: &str,
    component: &[u8],
    name: &str,
) -> Result<String, SignatureRefused> {
    let refused = |error: minisign::PError| SignatureRefused::SecretKey(error.to_string());
    let key: SecretKey = SecretKeyBox::from_string(secret_key)
        .and_then(SecretKeyBox::into_unencrypted_secret_key)
        .map_err(refused)?;
    let comment = format!("file:{name}");
    minisign::sign(None, &key, Cursor::new(component), Some(&comment), None)
        .map(SignatureBox::into_string)
        .map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_component_and_key_alone() {
        let (secret, public) = new_key().unwrap();
        let (_, other) = new_key().unwrap();
        let trusted = |key: &str| TrustedKeys::try_from(vec![key.to_owned()]).unwrap();
        let signature = sign(&secret, b"component", "x.wasm").unwrap();
        let ours = trusted(&public);
        assert_eq!(ours.check(b"component", Some(&signature)), Ok(()));
        assert_eq!(
            ours.check(b"Component", Some(&signature)),
            Err(SignatureRefused::Forged)
        );
        assert_eq!(
            ours.check(b"component", Some(&signature.replace("x.wasm", "y.wasm"))),
            Err(SignatureRefused::Forged),
            "the trusted comment is signed too"
        );
        assert_eq!(
            trusted(&other).check(b"component", Some(&signature)),
            Err(SignatureRefused::Foreign)
        );
        assert_eq!(
            ours.check(b"component", None),
            Err(SignatureRefused::Absent)
        );
        for malformed in ["", "nonsense", &signature.repeat(20)] {
            let refusal = ours.check(b"component", Some(malformed)).unwrap_err();
            assert!(
                matches!(refusal, SignatureRefused::Malformed(_)),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn without_trusted_keys_nobody_has_to_vouch() {
        let nobody = TrustedKeys::default();
        let (secret, _) = new_key().unwrap();
        let signature = sign(&secret, b"component", "x.wasm").unwrap();
        assert_eq!(nobody.admit(b"component", None), Ok(()));
        assert_eq!(nobody.admit(b"component", Some(&signature)), Ok(()));
        let refusal = nobody.admit(b"component", Some("nonsense")).unwrap_err();
        assert!(
            matches!(refusal, SignatureRefused::Malformed(_)),
            "{refusal:?}"
        );
    }

    #[test]
    fn what_is_no_key_is_named() {
        let refusal = TrustedKeys::try_from(vec!["RWQnonsense".to_owned()]).err();
        assert_eq!(
            refusal,
            Some(SignatureRefused::Key("RWQnonsense".to_owned()))
        );
    }
}
