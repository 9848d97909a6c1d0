//! What operators do with the persons of the native directory.

use lanyard_policy::{PersonRef, Secret};
use lanyard_store::{AddUserOutcome, MAX_PAGE, Session, StoreError, User, UserChange};

use crate::{Engine, LocalUsers, PasswordError, hash_password};

/// What an operator wants of a person is not done.
#[derive(Debug, thiserror::Error)]
pub enum UserRefused {
    /// The name is taken.
    #[error("there is a user of that name already")]
    NameTaken,
    /// Devices are enrolled under the name, by somebody who is gone.
    #[error(
        "devices are still enrolled by an earlier user of that name: release them first (`lanyard device release`), or use another name"
    )]
    HasDevices,
    /// Somebody who is gone has begun to enroll a device under the name.
    #[error(
        "an earlier user of that name is enrolling a device: wait until that is over (an hour, or a week if it waits for approval), or use another name"
    )]
    IsEnrolling,
    /// Nobody has the name.
    #[error("there is no user of that name")]
    Unknown,
    /// The name is not fit to be one.
    #[error("a user name has 1 to 128 characters, none of them blank or a control character")]
    Name,
    /// The password is not accepted.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Engine {
    /// Adds a person to the native directory.
    ///
    /// # Errors
    /// [`UserRefused`]
    pub async fn add_user(
        &self,
        name: &str,
        display_name: &str,
        password: Secret,
    ) -> Result<(), UserRefused> {
        let unfit = |character: char| character.is_whitespace() || character.is_control();
        if name.is_empty() || name.chars().count() > 128 || name.contains(unfit) {
            return Err(UserRefused::Name);
        }
        // The name is what devices are enrolled under: whoever gets it next must not inherit them.
        let id = name.to_lowercase();
        if self.store().find_user(&id).await?.is_none() {
            if self.store().has_devices(LocalUsers::NAME, &id).await? {
                return Err(UserRefused::HasDevices);
            }
            let begun = self
                .store()
                .sessions_of_person(LocalUsers::NAME, &id, MAX_PAGE);
            let now = self.now();
            let goes_on = |session: &Session| !session.state.is_over() && session.expires_at > now;
            if begun.await?.iter().any(goes_on) {
                return Err(UserRefused::IsEnrolling);
            }
        }
        let hash = hash(password).await?;
        match self
            .store()
            .add_user(name, display_name, &hash, self.now())
            .await?
        {
            AddUserOutcome::Added => Ok(()),
            AddUserOutcome::NameTaken => Err(UserRefused::NameTaken),
        }
    }

    /// Gives a person another password.
    ///
    /// # Errors
    /// [`UserRefused`]
    pub async fn set_password(&self, name: &str, password: Secret) -> Result<(), UserRefused> {
        let hash = hash(password).await?;
        known(
            self.store()
                .set_user_password(name, &hash, self.now())
                .await?,
        )
    }

    /// Keeps a person from signing in, or lets them again.
    ///
    /// # Errors
    /// [`UserRefused`]
    pub async fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), UserRefused> {
        known(
            self.store()
                .set_user_disabled(name, disabled, self.now())
                .await?,
        )?;
        self.note_standing_of(name).await;
        Ok(())
    }

    /// The daily look would find it as well; here it is known at once.
    async fn note_standing_of(&self, name: &str) {
        let person = PersonRef {
            directory: LocalUsers::NAME.to_owned(),
            id: name.to_lowercase(),
        };
        if let Err(refusal) = self.look_up(&person, None, self.now()).await {
            tracing::error!(error = %refusal, "a person's standing cannot be noted now; the daily look does it");
        }
    }

    /// Removes a person; their devices stay enrolled.
    ///
    /// # Errors
    /// [`UserRefused`]
    pub async fn remove_user(&self, name: &str) -> Result<(), UserRefused> {
        known(self.store().remove_user(name).await?)?;
        self.note_standing_of(name).await;
        Ok(())
    }

    /// Persons by name, from the one after `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn users(&self, after: Option<&str>, limit: u64) -> Result<Vec<User>, StoreError> {
        self.store().list_users(after, limit).await
    }
}

async fn hash(password: Secret) -> Result<lanyard_store::PasswordHash, PasswordError> {
    tokio::task::spawn_blocking(move || hash_password(&password))
        .await
        .map_err(|_| PasswordError::Hash)?
}

fn known(change: UserChange) -> Result<(), UserRefused> {
    match change {
        UserChange::Done => Ok(()),
        UserChange::Unknown => Err(UserRefused::Unknown),
    }
}
