//! Phase 1: who is this person? The answer to a right one is the Profile Service document.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_mdm::{Challenge, ota::ProfileService, profile::Label, signed};
use lanyard_pki::Digest;
use lanyard_policy::{Person, Secret, SignIn, Step};
use lanyard_store::NewSession;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::{Engine, Refusal, decision, profiles, refusal::chain};

/// Somebody tries to sign in.
#[derive(Debug)]
pub struct SignInAttempt {
    /// The name that was typed.
    pub user_name: String,
    /// The password that was typed.
    pub password: Secret,
    /// Where the request comes from.
    pub remote: IpAddr,
    /// The browser, as it calls itself.
    pub user_agent: Option<String>,
}

/// A sign-in does not succeed.
#[derive(Debug, thiserror::Error)]
pub enum SignInRefused {
    /// Wrong name or password, or an account that is disabled: the person is not told which.
    #[error("rejected: {code}")]
    Rejected {
        /// The directory's reason, for the log.
        code: String,
    },
    /// Too many attempts with this name or from this address.
    #[error("too many attempts")]
    TooMany {
        /// When to try again.
        wait: Duration,
    },
    /// The directory cannot tell now: the person's password may well be right.
    #[error("no answer: {reason}")]
    Unavailable {
        /// Why, for the log.
        reason: String,
    },
}

impl From<Refusal> for SignInRefused {
    fn from(refusal: Refusal) -> Self {
        Self::Unavailable {
            reason: refusal.to_string(),
        }
    }
}

/// Every rejection takes at least this long, which is more than hashing a password does: its time does not tell whether a
/// directory looked at the password, and so whether it knows the name.
const REJECTION_TAKES: Duration = Duration::from_millis(100);

impl Engine {
    /// Signs a person in. The answer is the Profile Service document, signed, with a challenge that ties the device's answer to
    /// this person once.
    ///
    /// # Errors
    /// [`SignInRefused`]
    pub async fn sign_in(&self, attempt: SignInAttempt) -> Result<Vec<u8>, SignInRefused> {
        let started = Instant::now();
        if !self
            .0
            .throttle
            .admit_sign_in(&attempt.user_name, attempt.remote)
        {
            return Err(SignInRefused::TooMany {
                wait: Duration::from_secs(60),
            });
        }
        if self.setup().push.is_none() {
            let reason =
                "no push certificate is configured, so no device could be managed".to_owned();
            return Err(SignInRefused::Unavailable { reason });
        }
        let now = self.now();
        let question = SignIn {
            decision: decision::new(now),
            user_name: attempt.user_name,
            password: attempt.password,
            remote_address: attempt.remote.to_string(),
            user_agent: attempt.user_agent,
        };
        let decision = question.decision.id.clone();
        let decided = self
            .hooks()
            .directory
            .begin(question)
            .await
            .map_err(|failure| {
                tracing::warn!(
                    decision,
                    binding = failure.binding,
                    code = failure.failure.code(),
                    "directory failed"
                );
                SignInRefused::Unavailable {
                    reason: chain(&failure),
                }
            })?;
        let rejected = match decided.verdict {
            Step::Authenticated(person) => return self.begin_enrollment(person, now).await,
            Step::Rejected(reason) => SignInRefused::Rejected { code: reason.code },
            Step::Abstain => SignInRefused::Rejected {
                code: "unknown".to_owned(),
            },
            Step::Ask { .. } | Step::Redirect { .. } => SignInRefused::Unavailable {
                reason: "the directory asks for a further step, which the enrollment page does not offer".to_owned(),
            },
        };
        sleep_until(started + REJECTION_TAKES).await;
        Err(rejected)
    }

    async fn begin_enrollment(
        &self,
        person: Person,
        now: SystemTime,
    ) -> Result<Vec<u8>, SignInRefused> {
        let session = Uuid::new_v4();
        let challenge = Challenge::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let new = NewSession {
            id: session,
            directory: person.directory,
            person_id: person.id,
            person_name: person.display_name,
            attributes: serde_json::to_value(person.attributes)
                .map_err(|error| Refusal::internal(&error))?,
            challenge_hash: challenge_hash(&challenge),
            created_at: now,
            expires_at: now + self.setup().lifetimes.session,
        };
        tracing::info!(%session, directory = new.directory, person = new.person_id, "signed in");
        self.store()
            .create_session(new)
            .await
            .map_err(Refusal::from)?;
        let document = self
            .compute(move |engine| engine.profile_service_document(session, challenge))
            .await??;
        Ok(document)
    }

    fn profile_service_document(
        &self,
        session: Uuid,
        challenge: Challenge,
    ) -> Result<Vec<u8>, Refusal> {
        let organization = &self.setup().organization;
        let mut label = Label::new(profiles::PROFILE_SERVICE, session)
            .named(format!("{organization}: enrollment"));
        label.organization = Some(organization.clone());
        label.description =
            Some("Sends this device's identification and sets up its management.".to_owned());
        let document = ProfileService::new(label, &self.setup().urls.profile_service, challenge);
        let document = document
            .to_xml()
            .map_err(|error| Refusal::internal(&error))?;
        signed::sign(&document, self.setup().signer.identity())
            .map_err(|error| Refusal::internal(&error))
    }
}

/// What the store keeps of a challenge. It has 256 bits of randomness, so a plain hash gives nothing away.
pub(crate) fn challenge_hash(challenge: &Challenge) -> Vec<u8> {
    Digest::sha256(challenge.expose().as_bytes()).to_vec()
}
