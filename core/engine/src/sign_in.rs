//! Phase 1: who is this person? The answer to a right one is the Profile Service document.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lanyard_mdm::{Challenge, ota::ProfileService, profile::Label, signed};
use lanyard_pki::Digest;
use lanyard_policy::{
    ChainFailure, Decided, Field, HookPoint, Person, ResumeSignIn, Secret, SignIn, Step,
};
use lanyard_store::{NewSession, StoreError, Unsealed};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Engine, Refusal, decision, profiles, records::Asked, refusal::chain};

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

/// A person comes back with what a directory asked for, or from where it sent them.
#[derive(Debug)]
pub struct NextStep {
    /// What the step before gave out.
    pub ticket: Ticket,
    /// The binding whose address a person came back to; `None` for a form of ours.
    pub came_back_to: Option<String>,
    /// Form fields or query parameters by name.
    pub input: BTreeMap<String, Secret>,
    /// Where the request comes from.
    pub remote: IpAddr,
    /// The browser, as it calls itself.
    pub user_agent: Option<String>,
}

/// A person's place in a sign-in of several steps: good once, for ten minutes.
#[derive(Clone, Debug)]
pub struct Ticket(Secret);

impl Ticket {
    /// One that came back.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// For the page or the cookie that carries it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn hash(&self) -> String {
        hex::encode(Digest::sha256(self.expose().as_bytes()))
    }
}

/// What a sign-in leads to.
#[derive(Debug)]
pub enum SignedIn {
    /// The person is who they say: the Profile Service document, signed.
    Document(Vec<u8>),
    /// The directory wants to know more.
    Ask {
        /// The fields to show.
        fields: Vec<Field>,
        /// To come back with.
        ticket: Ticket,
    },
    /// The directory sends the browser elsewhere.
    Redirect {
        /// Where to; https.
        url: String,
        /// To come back with.
        ticket: Ticket,
    },
}

/// What is remembered of a sign-in between two steps.
#[derive(Serialize, Deserialize)]
struct Waiting {
    binding: String,
    user_name: String,
    state: Vec<u8>,
}

impl Waiting {
    fn read(kept: Result<Option<Unsealed<Vec<u8>>>, StoreError>) -> Result<Self, SignInRefused> {
        let kept = kept.map_err(Refusal::from)?.ok_or(SignInRefused::Over)?;
        let read = serde_json::from_slice(kept.expose());
        Ok(read.map_err(|error| Refusal::internal(&error))?)
    }
}

/// How long a person may take for a step: a code that comes by mail, say.
const STEP_TAKES: Duration = Duration::from_secs(600);

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
    /// The ticket was used, is over, or was never given out.
    #[error("the step is over")]
    Over,
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
    /// Signs a person in, as far as the directory can tell from name and password. At the end stands the Profile Service document, with
    /// a challenge that ties the device's answer to this person once.
    ///
    /// # Errors
    /// [`SignInRefused`]
    #[tracing::instrument(name = "sign in", level = "debug", skip_all)]
    pub async fn sign_in(&self, attempt: SignInAttempt) -> Result<SignedIn, SignInRefused> {
        let started = Instant::now();
        self.admit_address(attempt.remote)?;
        self.admit_name(&attempt.user_name, attempt.remote)?;
        if self.topics().is_empty() {
            let reason =
                "no push certificate is configured, so no device could be managed".to_owned();
            return Err(SignInRefused::Unavailable { reason });
        }
        let now = self.now();
        let user_name = attempt.user_name.clone();
        let question = SignIn {
            decision: decision::new(now),
            user_name: attempt.user_name,
            password: attempt.password,
            remote_address: attempt.remote.to_string(),
            user_agent: attempt.user_agent,
        };
        let hooks = self.hooks();
        let asked = Asked::new(
            &hooks,
            HookPoint::Directory,
            &question.decision,
            &question,
            None,
            now,
        );
        let answer = hooks.directory.begin(question).await;
        self.after_step(answer, asked, user_name, started, now)
            .await
    }

    /// Goes on with a sign-in. Whoever is throttled keeps the ticket; whoever comes back to another binding's address has spent it, and
    /// nobody is asked anything.
    ///
    /// # Errors
    /// [`SignInRefused`]
    #[tracing::instrument(name = "continue sign-in", level = "debug", skip_all)]
    pub async fn continue_sign_in(&self, next: NextStep) -> Result<SignedIn, SignInRefused> {
        let started = Instant::now();
        let now = self.now();
        self.admit_address(next.remote)?;
        let ticket = next.ticket.hash();
        let kept = self.store().find_sign_in(&ticket, now).await;
        let waiting = Waiting::read(kept)?;
        self.admit_name(&waiting.user_name, next.remote)?;
        let taken = self.store().take_sign_in(&ticket, now).await;
        let waiting = Waiting::read(taken)?;
        if let Some(other) = next.came_back_to.filter(|name| *name != waiting.binding) {
            tracing::warn!(
                binding = waiting.binding,
                other,
                "a sign-in came back to another binding's address"
            );
            let code = "wrong-callback".to_owned();
            return Err(SignInRefused::Rejected { code });
        }
        let question = ResumeSignIn {
            decision: decision::new(now),
            state: waiting.state,
            input: next.input,
            remote_address: next.remote.to_string(),
            user_agent: next.user_agent,
        };
        let hooks = self.hooks();
        let asked = Asked::new(
            &hooks,
            HookPoint::Directory,
            &question.decision,
            &question,
            None,
            now,
        );
        let answer = hooks.directory.resume(&waiting.binding, question).await;
        self.after_step(answer, asked, waiting.user_name, started, now)
            .await
    }

    fn admit_address(&self, remote: IpAddr) -> Result<(), SignInRefused> {
        admitted(self.0.throttle.admit_address(remote))
    }

    fn admit_name(&self, user_name: &str, remote: IpAddr) -> Result<(), SignInRefused> {
        admitted(self.0.throttle.admit_name(user_name, remote))
    }

    /// What follows from a directory's answer.
    async fn after_step(
        &self,
        answer: Result<Decided<Step>, ChainFailure>,
        asked: Asked,
        user_name: String,
        started: Instant,
        now: SystemTime,
    ) -> Result<SignedIn, SignInRefused> {
        self.metrics().sign_in(&answer);
        let decision = asked.id().to_owned();
        let is_worth_recording = match &answer {
            Ok(decided) => match decided.verdict {
                Step::Authenticated(_) => true,
                // Who was rejected is a stranger, and there may be any number of them: the log has them.
                Step::Rejected(_) | Step::Abstain => false,
                Step::Ask { .. } | Step::Redirect { .. } => self.0.throttle.admit_record(),
            },
            Err(_) => self.0.throttle.admit_record(),
        };
        if is_worth_recording {
            let record = self.record(asked, &answer);
            self.keep_record(record).await.map_err(Refusal::from)?;
        }
        let decided = answer.map_err(|failure| {
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
        let binding = decided.settled_by().unwrap_or_default().to_owned();
        let waiting = |state| Waiting {
            binding: binding.clone(),
            user_name,
            state,
        };
        let rejected = match decided.verdict {
            Step::Authenticated(person) => {
                return self
                    .begin_enrollment(person, now)
                    .await
                    .map(SignedIn::Document);
            }
            Step::Ask { fields, state } => {
                let ticket = self.keep(waiting(state), now).await?;
                return Ok(SignedIn::Ask { fields, ticket });
            }
            Step::Redirect { url, state } => {
                let ticket = self.keep(waiting(state), now).await?;
                return Ok(SignedIn::Redirect { url, ticket });
            }
            Step::Rejected(reason) => SignInRefused::Rejected { code: reason.code },
            Step::Abstain => SignInRefused::Rejected {
                code: "unknown".to_owned(),
            },
        };
        sleep_until(started + REJECTION_TAKES).await;
        Err(rejected)
    }

    async fn keep(&self, waiting: Waiting, now: SystemTime) -> Result<Ticket, Refusal> {
        let ticket = Ticket::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let content = Zeroizing::new(
            serde_json::to_vec(&waiting).map_err(|error| Refusal::internal(&error))?,
        );
        self.store()
            .keep_sign_in(&ticket.hash(), &content, now + STEP_TAKES)
            .await?;
        Ok(ticket)
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

fn admitted(is: bool) -> Result<(), SignInRefused> {
    if is {
        return Ok(());
    }
    Err(SignInRefused::TooMany {
        wait: Duration::from_secs(60),
    })
}

/// What the store keeps of a challenge. It has 256 bits of randomness, so a plain hash gives nothing away.
pub(crate) fn challenge_hash(challenge: &Challenge) -> Vec<u8> {
    Digest::sha256(challenge.expose().as_bytes()).to_vec()
}
