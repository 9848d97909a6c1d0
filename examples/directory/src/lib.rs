//! The smallest directory: one person, whose name and password hash stand in the settings. The plugin never sees a password: it hands
//! the hash to the host, which compares.

use lanyard_sdk::{
    Directory, Inquiry, Person, Plugin, Reason, Secret, SignIn, Standing, Step, Unavailable,
};
use serde::Deserialize;

/// What an operator sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The name to sign in with.
    name: String,
    /// Argon2id of the password, as a PHC string.
    password_hash: String,
}

/// The directory.
pub struct OnePerson(Settings);

impl Plugin for OnePerson {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, String> {
        if settings.password_hash.starts_with("$argon2id$") {
            Ok(Self(settings))
        } else {
            Err(
                "password_hash is no PHC string of argon2id: $argon2id$v=19$m=19456,t=2,p=1$…$…"
                    .into(),
            )
        }
    }
}

impl Directory for OnePerson {
    fn begin(&self, request: SignIn, password: &Secret) -> Result<Step, Unavailable> {
        Ok(if request.user_name != self.0.name {
            Step::Abstain
        } else if password.verify(&self.0.password_hash) {
            Step::Authenticated(self.person())
        } else {
            Reason::new("wrong-password", "User name or password is wrong.").deny()
        })
    }

    fn lookup(&self, request: Inquiry) -> Result<Standing, Unavailable> {
        Ok(if request.person_id == self.0.name {
            Standing::Active(self.person())
        } else {
            Standing::Unknown
        })
    }
}

impl OnePerson {
    fn person(&self) -> Person {
        Person {
            id: self.0.name.clone(),
            display_name: self.0.name.clone(),
            attributes: Vec::new(),
        }
    }
}

lanyard_sdk::export! {
    OnePerson: directory;
    grants: { secrets: "the password is compared with the hash in the settings, and never read" };
}

#[cfg(test)]
mod tests {
    use lanyard_sdk::{Decision, test};

    use super::*;

    /// Of `correct horse`.
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk";

    fn sign_in(name: &str, password: &str) -> Step {
        let settings = Settings {
            name: "ada".into(),
            password_hash: HASH.into(),
        };
        let request = SignIn {
            decision: Decision::example(),
            user_name: name.into(),
            facts: Vec::new(),
        };
        let directory = OnePerson::new(settings).expect("good settings");
        directory
            .begin(request, &test::secret(password))
            .expect("it depends on nothing")
    }

    #[test]
    fn the_one_person_signs_in() {
        assert!(matches!(
            sign_in("ada", "correct horse"),
            Step::Authenticated(_)
        ));
        assert!(matches!(sign_in("ada", "wrong horse"), Step::Rejected(_)));
        assert!(matches!(sign_in("bob", "correct horse"), Step::Abstain));
    }
}
