//! The topics that devices are woken by: each with its push certificate, and with what is wrong with it, if something is.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use lanyard_push::{Apns, days_left_at_most, schedule};
use lanyard_store::Store;

use crate::{Engine, SetupError};

/// Failures of APNs itself, one after another, after which the topic rests.
const FAILURES: u32 = 20;

/// A topic, and its way to APNs.
pub(crate) struct Topic {
    pub(crate) apns: Apns,
    condition: Mutex<Condition>,
}

#[derive(Default)]
struct Condition {
    trouble: Option<PushTrouble>,
    /// Answers of APNs that it fails, since the last that was another.
    failures: u32,
    /// What the operator was last told of the certificate's age.
    told: Age,
}

/// How old a certificate is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Age {
    NotYet,
    #[default]
    Fine,
    /// It ends in so many days, at most.
    Ends(u64),
}

impl Age {
    /// Days in which it is to be renewed at once.
    const LAST: u64 = 7;

    fn of(apns: &Apns, now: SystemTime) -> Self {
        let certificate = apns.certificate();
        match days_left_at_most(certificate.not_after(), now) {
            _ if now < certificate.not_before() => Self::NotYet,
            Some(days) => Self::Ends(days),
            None => Self::Fine,
        }
    }
}

/// Why no device of a topic is woken at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTrouble {
    /// Since when.
    pub since: SystemTime,
    /// What is wrong.
    pub what: String,
    /// When one push tries whether it still is.
    pub until: SystemTime,
}

/// A topic as an operator sees it.
#[derive(Clone, Debug)]
pub struct PushTopic {
    /// Its name, `com.apple.mgmt.` and more.
    pub topic: String,
    /// Whether new devices enroll with it.
    pub enrolls: bool,
    /// SHA-256 of its push certificate, in hexadecimal.
    pub certificate_sha256: String,
    /// Until when that is valid.
    pub not_after: SystemTime,
    /// Why nobody is woken, if nobody is.
    pub trouble: Option<PushTrouble>,
}

impl Topic {
    fn new(apns: Apns) -> Arc<Self> {
        Arc::new(Self {
            apns,
            condition: Mutex::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.apns.topic()
    }

    pub(crate) fn is_in_trouble(&self) -> bool {
        self.condition().trouble.is_some()
    }

    /// Why and until when nothing is sent, if that is so.
    pub(crate) fn rests(&self, now: SystemTime) -> Option<(String, SystemTime)> {
        let condition = self.condition();
        let trouble = condition.trouble.as_ref()?;
        (now < trouble.until).then(|| (trouble.what.clone(), trouble.until))
    }

    /// Nothing is sent until then. The operator is told once of each trouble.
    pub(crate) fn rest(&self, what: &str, now: SystemTime, until: SystemTime) {
        let mut condition = self.condition();
        let before = condition.trouble.take();
        if before.as_ref().is_none_or(|before| before.what != what) {
            tracing::error!(
                alert = "push",
                topic = self.name(),
                reason = what,
                "no device of this topic can be woken"
            );
        }
        condition.trouble = Some(PushTrouble {
            since: before.map_or(now, |before| before.since),
            what: what.to_owned(),
            until,
        });
    }

    /// APNs says that it fails. Once is nothing; many times in a row, it is left in peace.
    pub(crate) fn fails(&self, what: &str, now: SystemTime) {
        let failures = {
            let mut condition = self.condition();
            condition.failures = condition.failures.saturating_add(1);
            condition.failures
        };
        if failures >= FAILURES {
            self.rest(what, now, now + schedule::REST);
        }
    }

    /// APNs answered, and takes the certificate.
    pub(crate) fn works(&self) {
        let mut condition = self.condition();
        condition.failures = 0;
        if let Some(over) = condition.trouble.take() {
            let topic = self.name();
            tracing::info!(topic, was = over.what, "devices can be woken again");
        }
    }

    /// Tells the operator once on each of the days that count that the certificate ends.
    fn remind(&self, now: SystemTime) {
        let age = Age::of(&self.apns, now);
        if std::mem::replace(&mut self.condition().told, age) == age {
            return;
        }
        let topic = self.name();
        let until = DateTime::<Utc>::from(self.apns.certificate().not_after());
        match age {
            Age::Fine => {}
            Age::NotYet => tracing::error!(
                alert = "push",
                topic,
                "the push certificate is not valid yet: check this machine's clock"
            ),
            Age::Ends(days) if days > Age::LAST => tracing::warn!(
                alert = "push",
                topic, days, %until,
                "the push certificate ends soon: renew it (not \"create\") at identity.apple.com/pushcert with the same Apple Account"
            ),
            Age::Ends(days) => tracing::error!(
                alert = "push",
                topic, days, %until,
                "the push certificate ends within days, or has, and then no device can be woken: renew it (not \"create\") at identity.apple.com/pushcert with the same Apple Account"
            ),
        }
    }

    /// No code panics while it holds it.
    fn condition(&self) -> MutexGuard<'_, Condition> {
        let condition = self.condition.lock();
        condition.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The topics of these clients, of which none may be missing that devices enrolled with. Who has the same certificate as one of `before`
/// goes on with its connection.
pub(crate) async fn checked(
    push: Vec<Apns>,
    before: &[Arc<Topic>],
    store: &Store,
) -> Result<Vec<Arc<Topic>>, SetupError> {
    if !push.is_empty() {
        for (enrolled, devices) in store.topics_in_use().await? {
            if !push.iter().any(|apns| apns.topic() == enrolled) {
                let names: Vec<&str> = push.iter().map(Apns::topic).collect();
                return Err(SetupError::Topic {
                    configured: names.join(", "),
                    enrolled,
                    devices,
                });
            }
        }
    }
    let keep = |apns: Apns| {
        let same = before.iter().find(|topic| {
            topic.apns.certificate().fingerprint() == apns.certificate().fingerprint()
        });
        same.map_or_else(|| Topic::new(apns), Arc::clone)
    };
    Ok(push.into_iter().map(keep).collect())
}

impl Engine {
    /// The topics of this moment; the first is the one that new devices enroll with.
    pub(crate) fn topics(&self) -> Vec<Arc<Topic>> {
        let topics = self.0.topics.read();
        topics.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The topic that new devices enroll with, if there is a push certificate.
    pub(crate) fn enrolling_topic(&self) -> Option<Arc<Topic>> {
        self.topics().into_iter().next()
    }

    /// The topics, and how they fare.
    #[must_use]
    pub fn push_topics(&self) -> Vec<PushTopic> {
        let topics = self.topics().into_iter().enumerate();
        let shown = topics.map(|(place, topic)| PushTopic {
            topic: topic.name().to_owned(),
            enrolls: place == 0,
            certificate_sha256: hex::encode(topic.apns.certificate().fingerprint()),
            not_after: topic.apns.certificate().not_after(),
            trouble: topic.condition().trouble.clone(),
        });
        shown.collect()
    }

    /// From now on, devices are woken over these ways to APNs, the first of which is that of new devices. What is under way over those
    /// before ends there; what waited for another certificate is tried at once. The topics whose certificate is another now.
    ///
    /// # Errors
    /// [`SetupError::Topic`] if devices are enrolled with a topic that would be missing; nothing changes then.
    pub async fn replace_push(&self, push: Vec<Apns>) -> Result<Vec<String>, SetupError> {
        let before = self.topics();
        let topics = checked(push, &before, self.store()).await?;
        let current = &self.0.topics;
        *current.write().unwrap_or_else(PoisonError::into_inner) = topics.clone();
        let mut changed = Vec::new();
        for topic in topics {
            if !before.iter().any(|known| Arc::ptr_eq(known, &topic)) {
                let waiting = self.store().hasten_pushes(topic.name(), self.now()).await?;
                tracing::info!(topic = topic.name(), waiting, "another push certificate");
                changed.push(topic.name().to_owned());
            }
        }
        self.remind_of_certificates();
        self.0.outbox.notify_one();
        Ok(changed)
    }

    /// Tells the operator of push certificates that end.
    pub(crate) fn remind_of_certificates(&self) {
        for topic in self.topics() {
            topic.remind(self.now());
        }
    }
}
