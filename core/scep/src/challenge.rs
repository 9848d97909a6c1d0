//! Challenges that carry their own proof: minted for one device, limited in time, and checked without looking anything up.
//!
//! `v1.<claims>.<tag>`, both parts in base64url: the claims are the end of validity in seconds since 1970 (8 octets), an
//! identifier (16) and the binding; the tag is HMAC-SHA-256 over the endpoint's name and the claims. The alphabet fits a
//! PrintableString, the length stays below 255 characters. That a challenge is used once is the caller's to record, by
//! its identifier and the [`TransactionKey`](crate::TransactionKey) that used it.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_pki::seal::MacRing;
use zeroize::Zeroizing;

const VERSION: &str = "v1";
const MAX_BINDING: usize = 96;

/// Why a challenge is not accepted. Clients are not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// The request has none.
    #[error("the request carries no challenge")]
    Missing,
    /// Not minted by this endpoint: another form, another endpoint's, or guessed.
    #[error("the challenge was not minted for this endpoint")]
    Foreign,
    /// Its time is over.
    #[error("the challenge has expired")]
    Expired,
}

/// What a challenge says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Identifies the challenge: random.
    pub id: [u8; 16],
    /// What it is bound to; the minting side's own words, at most 96 octets.
    pub binding: String,
    /// Until when it may be used; whole seconds.
    pub expires: SystemTime,
}

/// The key with which an endpoint's challenges are minted, and those with which they are checked: a challenge stays good when the key is
/// rotated.
#[derive(Clone)]
pub struct ChallengeKey(MacRing);

impl ChallengeKey {
    /// Uses these keys, which must serve nothing else.
    #[must_use]
    pub fn new(key: MacRing) -> Self {
        Self(key)
    }

    /// Mints a challenge for one endpoint. A binding that is too long is cut, and so matches nothing.
    #[must_use]
    pub fn mint(&self, endpoint: &str, claims: &Claims) -> Zeroizing<String> {
        let seconds = claims
            .expires
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let binding = &claims.binding.as_bytes()[..claims.binding.len().min(MAX_BINDING)];
        let payload = [&seconds.to_be_bytes(), claims.id.as_slice(), binding].concat();
        let tag = self.0.tag(&authenticated(endpoint, &payload));
        Zeroizing::new(format!(
            "{VERSION}.{}.{}",
            URL_SAFE_NO_PAD.encode(&payload),
            URL_SAFE_NO_PAD.encode(tag)
        ))
    }

    /// Checks a challenge: first that it is ours, then that its time is not over.
    ///
    /// # Errors
    /// [`ChallengeError`]
    pub fn verify(
        &self,
        endpoint: &str,
        challenge: &str,
        now: SystemTime,
    ) -> Result<Claims, ChallengeError> {
        let claims = self
            .open(endpoint, challenge)
            .ok_or(ChallengeError::Foreign)?;
        if now >= claims.expires {
            Err(ChallengeError::Expired)
        } else {
            Ok(claims)
        }
    }

    fn open(&self, endpoint: &str, challenge: &str) -> Option<Claims> {
        let (payload, tag) = challenge
            .strip_prefix(VERSION)?
            .strip_prefix('.')?
            .split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        if !self.0.verify(&authenticated(endpoint, &payload), &tag) {
            return None;
        }
        let (seconds, rest) = payload.split_first_chunk::<8>()?;
        let (id, binding) = rest.split_first_chunk::<16>()?;
        Some(Claims {
            id: *id,
            binding: String::from_utf8(binding.to_vec()).ok()?,
            expires: UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_be_bytes(*seconds)))?,
        })
    }
}

impl fmt::Debug for ChallengeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeKey")
    }
}

fn authenticated(endpoint: &str, payload: &[u8]) -> Vec<u8> {
    [endpoint.as_bytes(), &[0], payload].concat()
}

#[cfg(test)]
mod tests {
    use lanyard_pki::seal::{KeyRing, SealingKey};

    use super::*;

    #[test]
    fn a_challenge_is_for_one_endpoint_and_one_time() {
        let key = ChallengeKey::new(KeyRing::from(SealingKey::generate()).derive("challenges"));
        let expires = UNIX_EPOCH + Duration::from_secs(1_000);
        let claims = Claims {
            id: [7; 16],
            binding: "session/identity".into(),
            expires,
        };
        let challenge = key.mint("device", &claims);
        assert!(
            challenge.len() < 255
                && challenge
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        );
        let before = expires - Duration::from_secs(1);
        assert_eq!(key.verify("device", &challenge, before), Ok(claims));
        assert_eq!(
            key.verify("device", &challenge, expires),
            Err(ChallengeError::Expired)
        );
        assert_eq!(
            key.verify("other", &challenge, before),
            Err(ChallengeError::Foreign)
        );
        assert_eq!(
            key.verify("device", "", before),
            Err(ChallengeError::Foreign)
        );
        for index in 0..challenge.len() {
            let mut changed = challenge.as_bytes().to_vec();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character of unpadded base64 has bits that mean nothing; the decoder refuses them set.
            assert_eq!(
                key.verify("device", &changed, before),
                Err(ChallengeError::Foreign),
                "character {index}"
            );
        }
    }
}
