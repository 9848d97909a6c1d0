//! A secret without a host that keeps it.

use std::cell::Cell;
use std::fmt;

/// What the host answers in one decision, of all secrets together; here it is counted by secret.
const MOST_USES: u32 = 4;

/// A password, a one-time code, a challenge: a handle that a plugin uses and does not read. What it says stays with the host.
pub struct Secret {
    text: String,
    uses: Cell<u32>,
}

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            uses: Cell::new(0),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What the secret says. Needs the grant `reveal-secrets`.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.text.clone()
    }

    /// Whether the secret says this: whether what came back is what was handed out. Four questions are answered in one decision, the
    /// uses of [`verify`](Self::verify) included; the host ends the whole call at the fifth.
    ///
    /// # Panics
    /// In tests, where the host would end the call: at the fifth.
    #[must_use]
    pub fn equals(&self, text: &str) -> bool {
        self.count();
        self.text == text
    }

    /// Whether this is the secret that a PHC string of Argon2id was made from: `$argon2id$v=19$m=19456,t=2,p=1$…$…`. The host ends
    /// the whole call if the hash is malformed or too cheap, and at the fifth question (see [`equals`](Self::equals)).
    ///
    /// # Panics
    /// In tests, where the host would end the call: if the hash is malformed, and at the fifth question.
    #[must_use]
    pub fn verify(&self, phc: &str) -> bool {
        use argon2::password_hash::{PasswordVerifier, phc::PasswordHash};
        self.count();
        let hash = PasswordHash::new(phc).expect("a PHC string of argon2id");
        argon2::Argon2::default()
            .verify_password(self.text.as_bytes(), &hash)
            .is_ok()
    }

    fn count(&self) {
        self.uses.set(self.uses.get() + 1);
        assert!(
            self.uses.get() <= MOST_USES,
            "the host answers {MOST_USES} questions about secrets in one decision"
        );
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}
