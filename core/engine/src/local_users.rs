//! The native directory: persons with a password in the store.

use std::sync::Arc;

use async_trait::async_trait;
use lanyard_policy::{
    Directory, HookFailure, Lookup, Person, Reason, ResumeSignIn, Secret, SignIn, Standing, Step,
};
use lanyard_store::{PasswordHash, Store, StoreError, User};
use tokio::sync::Semaphore;

use crate::{
    password::{self, LONGEST, PasswordError},
    refusal::chain,
};

/// Passwords that are hashed at the same time; each takes 19 MiB.
const HASHING: usize = 4;

/// Answers the directory hook from the store's own users.
///
/// A name that is unknown here takes as long as a wrong password, and says the same.
pub struct LocalUsers {
    store: Store,
    /// The hash of a password that nobody has: what an unknown name is checked against, so that it takes as long.
    nobody: PasswordHash,
    hashing: Arc<Semaphore>,
}

impl LocalUsers {
    /// The name under which it is bound.
    pub const NAME: &'static str = "local-users";

    /// Reads users from this store. Takes as long as hashing a password.
    ///
    /// # Errors
    /// [`PasswordError::Hash`]
    pub fn new(store: Store) -> Result<Self, PasswordError> {
        let nobody = Secret::new(hex::encode(rand::random::<[u8; 32]>()));
        Ok(Self {
            store,
            nobody: password::hash_password(&nobody)?,
            hashing: Arc::new(Semaphore::new(HASHING)),
        })
    }

    async fn find(&self, name: &str) -> Result<Option<User>, HookFailure> {
        self.store
            .find_user(name)
            .await
            .map_err(|error: StoreError| HookFailure::Unavailable {
                detail: chain(&error),
            })
    }

    async fn matches(&self, password: Secret, hash: PasswordHash) -> Result<bool, HookFailure> {
        let unavailable = |detail: &dyn std::fmt::Display| HookFailure::Unavailable {
            detail: detail.to_string(),
        };
        let permit = Arc::clone(&self.hashing)
            .acquire_owned()
            .await
            .map_err(|error| unavailable(&error))?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            password::verify(&password, &hash)
        })
        .await
        .map_err(|error| unavailable(&error))
    }
}

#[async_trait]
impl Directory for LocalUsers {
    async fn begin(&self, sign_in: SignIn) -> Result<Step, HookFailure> {
        let wrong = || {
            Step::Rejected(Reason::new(
                "wrong-credentials",
                "User name or password is wrong.",
            ))
        };
        if sign_in.password.expose().len() > LONGEST {
            return Ok(wrong());
        }
        let user = self.find(&sign_in.user_name).await?;
        let hash = user
            .as_ref()
            .map_or(&self.nobody, |user| &user.password_hash)
            .clone();
        let matches = self.matches(sign_in.password, hash).await?;
        Ok(match user {
            None => Step::Abstain,
            Some(_) if !matches => wrong(),
            Some(user) if user.disabled => {
                Step::Rejected(Reason::new("disabled", "User name or password is wrong."))
            }
            Some(user) => Step::Authenticated(person(user)),
        })
    }

    async fn resume(&self, _: ResumeSignIn) -> Result<Step, HookFailure> {
        Err(HookFailure::InvalidAnswer {
            detail: "local-users asks nothing, so there is nothing to resume".into(),
        })
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Standing, HookFailure> {
        Ok(match self.find(&lookup.person.id).await? {
            None => Standing::Unknown,
            Some(user) if user.disabled => {
                Standing::Disabled(Reason::new("disabled", "This account is disabled."))
            }
            Some(user) => Standing::Active(person(user)),
        })
    }
}

fn person(user: User) -> Person {
    Person {
        directory: LocalUsers::NAME.to_owned(),
        id: user.name,
        display_name: user.display_name,
        attributes: Default::default(),
    }
}
