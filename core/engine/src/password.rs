//! Passwords of the native directory: argon2id with the library's defaults (19 MiB, two passes, one lane).

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use lanyard_policy::Secret;
use lanyard_store::PasswordHash;

/// The shortest password accepted, in characters (NIST SP 800-63B, 3.1.1.2, for a password beside nothing else is longer;
/// here sign-ins are throttled and enroll a device that is then approved).
const SHORTEST: usize = 8;
/// The longest, in octets: what a form may make us hash.
pub(crate) const LONGEST: usize = 1024;

/// A password is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has at least {SHORTEST} characters and at most {LONGEST} bytes")]
    Length,
    /// The library failed.
    #[error("the password could not be hashed")]
    Hash,
}

/// Hashes a new password. Takes about 20 ms of CPU: not for an async task.
///
/// # Errors
/// [`PasswordError`]
pub fn hash_password(password: &Secret) -> Result<PasswordHash, PasswordError> {
    let text = password.expose();
    if text.chars().count() < SHORTEST || text.len() > LONGEST {
        return Err(PasswordError::Length);
    }
    let hash = Argon2::default()
        .hash_password(text.as_bytes())
        .map_err(|_| PasswordError::Hash)?;
    Ok(PasswordHash::new(hash.to_string()))
}

/// Whether the password is the one that was hashed.
pub(crate) fn verify(password: &Secret, hash: &PasswordHash) -> bool {
    phc::PasswordHash::new(hash.as_str()).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok()
    })
}
