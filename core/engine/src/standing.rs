//! Whether persons are still who may have devices: their directory is asked before an enrollment goes on and before an identity is
//! issued, and once a day about everybody who has a device. That somebody is not any more is an event, once.

use std::time::{Duration, SystemTime};

use lanyard_policy::{
    ChainFailure, Decided, HookPoint, Lookup, Occurrence, Opinion, PersonRef, Reason, Standing,
};
use lanyard_store::{PersonKey, StandingNoted, StoreError};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    Engine, Refusal,
    background::{KEEPER, PERSONS, all_done},
    decision,
    records::Asked,
    refusal::chain,
};

/// How long what a directory said of a person is good enough, if nothing happens that is worth asking for.
const ASKED_ANEW_AFTER: Duration = Duration::from_hours(24);
/// When a directory that could not tell is asked again.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Persons of one directory that one round asks about. With a round a minute, a day is enough for 144,000 of them; with one in two minutes,
/// because another directory is slow, for half as many.
const BATCH: u64 = 100;
/// How long one round asks one directory. Whom it did not come to is due in the next one.
const ROUND: Duration = Duration::from_secs(60);
/// Devices of a person that one event names: as many as it may lead to commands, unless the policy says otherwise.
const TOLD_AT_ONCE: usize = 100;

/// Why a person may not go on.
#[derive(Debug)]
pub(crate) enum Barred {
    /// The directory says so, for this reason.
    Disabled(Reason),
    /// The directory does not know the person any more.
    Unknown,
    /// The directory cannot tell now.
    CannotTell(String),
}

impl Engine {
    /// Asks a person's directory whether they may still act, and notes what it says. `about` is the enrollment session that waits for it.
    pub(crate) async fn look_up(
        &self,
        person: &PersonRef,
        about: Option<String>,
        now: SystemTime,
    ) -> Result<Result<(), Barred>, Refusal> {
        let standing = self.ask_directory(person, about, now).await?;
        let key = key_of(person);
        Ok(match standing {
            Ok(Standing::Active(_)) => {
                // Who was active before stays so without a write: this is asked several times in each enrollment.
                if self.store().last_standing(&key).await? == Some(false) {
                    self.note_standing(person, true, now).await?;
                }
                Ok(())
            }
            Ok(Standing::Disabled(reason)) => {
                self.note_standing(person, false, now).await?;
                Err(Barred::Disabled(reason))
            }
            Ok(Standing::Unknown) => {
                self.note_standing(person, false, now).await?;
                Err(Barred::Unknown)
            }
            Ok(Standing::Unavailable) => {
                let cannot = "the directory cannot tell whether the person is still active";
                Err(Barred::CannotTell(cannot.to_owned()))
            }
            Err(failure) => Err(Barred::CannotTell(format!(
                "lookup failed: {}",
                chain(&failure)
            ))),
        })
    }

    /// Asks about those persons with devices whose turn it is, each directory about its own, at most a hundred: one that is slow holds up
    /// itself. A round of what [`work_until`](Self::work_until) does by itself; it ends if the future is dropped.
    ///
    /// # Errors
    /// [`Refusal`] if the store fails; the next round goes on where it stopped.
    pub async fn look_up_persons(&self) -> Result<(), Refusal> {
        let mut asked = JoinSet::new();
        for directory in self.store().directories_with_devices().await? {
            let engine = self.clone();
            asked.spawn(async move { engine.look_up_persons_of(&directory).await });
        }
        all_done("looking up persons", asked).await
    }

    async fn look_up_persons_of(&self, directory: &str) -> Result<(), Refusal> {
        let (now, until) = (self.now(), Instant::now() + ROUND);
        for key in self.store().persons_due(directory, now, BATCH).await? {
            if Instant::now() >= until || !self.holds(PERSONS, KEEPER).await? {
                break;
            }
            let person = PersonRef {
                directory: key.directory.clone(),
                id: key.person_id.clone(),
            };
            match self.ask_directory(&person, None, now).await? {
                Ok(Standing::Active(_)) => self.note_standing(&person, true, now).await?,
                Ok(Standing::Disabled(_) | Standing::Unknown) => {
                    self.note_standing(&person, false, now).await?;
                }
                unclear @ (Ok(Standing::Unavailable) | Err(_)) => {
                    let error = unclear.err().map(|failure| chain(&failure));
                    let (directory, person) = (&key.directory, &key.person_id);
                    tracing::warn!(
                        directory,
                        person,
                        error,
                        "nobody can tell whether a person is still active"
                    );
                    let due = now + TRIED_AGAIN_AFTER;
                    self.store().defer_standing(&key, due).await?;
                }
            }
        }
        Ok(())
    }

    /// The answer is recorded if it bars the person: what changes nothing is not.
    async fn ask_directory(
        &self,
        person: &PersonRef,
        about: Option<String>,
        now: SystemTime,
    ) -> Result<Result<Standing, ChainFailure>, StoreError> {
        let lookup = Lookup {
            decision: decision::new(now),
            person: person.clone(),
        };
        let hooks = self.hooks();
        let hook = HookPoint::Directory;
        let asked = Asked::new(&hooks, hook, &lookup.decision, &lookup, about, now);
        let answer = hooks.directory.lookup(lookup).await;
        if matches!(&answer, Ok(Standing::Disabled(_) | Standing::Unknown)) {
            let decided = answer.clone().map(|standing| Decided {
                opinions: vec![Opinion {
                    binding: person.directory.clone(),
                    verdict: standing.clone(),
                }],
                passed_over: Vec::new(),
                verdict: standing,
            });
            self.keep_record(self.record(asked, &decided)).await?;
        }
        Ok(answer)
    }

    /// Notes what a directory said; that a person with devices is disabled is told to those who hear of events.
    async fn note_standing(
        &self,
        person: &PersonRef,
        active: bool,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let key = key_of(person);
        let mut store = self.store().clone();
        if !active {
            let enrollments = store.enrollments_of_person(&key).await?;
            if enrollments.is_empty() {
                return Ok(());
            }
            let hooks = self.hooks();
            for some in enrollments.chunks(TOLD_AT_ONCE) {
                let occurrence = Occurrence::PersonDisabled {
                    person: person.clone(),
                    enrollments: some.to_vec(),
                };
                let bindings = hooks.event_listeners().map(str::to_owned).collect();
                store = self.noting_for(&store, bindings, occurrence, now)?;
            }
        }
        let due = now + ASKED_ANEW_AFTER;
        let noted = store.note_standing(&key, active, due, now).await?;
        let (directory, person) = (&key.directory, &key.person_id);
        match noted {
            StandingNoted::Same => {}
            StandingNoted::Enabled => tracing::info!(directory, person, "the person may act again"),
            StandingNoted::Disabled => {
                tracing::warn!(
                    directory,
                    person,
                    "a person with devices may not act any more"
                );
                self.0.events.notify_one();
            }
        }
        Ok(())
    }
}

fn key_of(person: &PersonRef) -> PersonKey {
    PersonKey {
        directory: person.directory.clone(),
        person_id: person.id.clone(),
    }
}
