//! Pushes: taken from the outbox, sent to APNs, and their outcome written down. What the outcomes mean for all devices of a topic is in
//! `topics`.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use lanyard_mdm::{DeviceToken, PushMagic};
use lanyard_push::{
    Action, ConnectError, Outcome, Rejection, SendError, Wake, WakeError, schedule,
};
use lanyard_store::{DuePush, NextPush, PushOutcome, PushTarget, StoreError};
use tokio::task::JoinSet;

use crate::{Clock, Engine, background::TICK, refusal::chain, topics::Topic};

/// Pushes that are under way at the same time.
const BATCH: u64 = 500;
/// How long other nodes leave a batch alone, whose node may have died. Longer than APNs may take to answer for all of it.
const TAKEN_FOR: Duration = Duration::from_secs(120);
/// A device that was just woken is not woken again at once: what is requested meanwhile gathers.
const GATHER: Duration = Duration::from_secs(1);
/// What is due and was not taken, another node is taking.
const SOON: Duration = Duration::from_millis(10);
/// Failures after which a push is left until the device would be reminded.
const ATTEMPTS: u32 = 10;

impl Engine {
    /// Sends pushes that are due, as many as go together; how long to wait before the next. [`work_until`](Self::work_until) does this by
    /// itself.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn push_due(&self) -> Result<Duration, StoreError> {
        let topics = self.topics();
        let now = self.now();
        // What nobody could send stays due, and is not touched.
        if topics.iter().all(|topic| topic.rests(now).is_some()) {
            return Ok(TICK);
        }
        let (wait, batch) = self.pace(|pace, at| (pace.wait(at), pace.batch().min(BATCH)));
        if !wait.is_zero() {
            return Ok(wait);
        }
        let store = self.store();
        let due = store
            .take_pushes(now, now + TAKEN_FOR, now + GATHER, batch)
            .await?;
        let taken = due.len() as u64;
        self.pace(|pace, at| pace.went(taken, at));
        let outcomes = send_all(&topics, due, &self.0.clock).await;
        outcomes.iter().for_each(|each| self.metrics().pushed(each));
        store.record_pushes(&outcomes, self.now()).await?;
        if taken == batch {
            return Ok(self.pace(|pace, at| pace.wait(at)));
        }
        let next = store.next_push_due().await?;
        let wait = next.map(|due| due.duration_since(self.now()).unwrap_or_default());
        Ok(wait.unwrap_or(TICK).clamp(SOON, TICK))
    }

    fn pace<T>(&self, use_it: impl FnOnce(&mut schedule::Pace, Duration) -> T) -> T {
        let mut pace = self.0.pace.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut pace, self.0.started.elapsed())
    }
}

async fn send_all(topics: &[Arc<Topic>], due: Vec<DuePush>, clock: &Clock) -> Vec<PushOutcome> {
    let mut outcomes = Vec::with_capacity(due.len());
    let mut by_topic: HashMap<String, Vec<Addressed>> = HashMap::new();
    for mut push in due {
        match push.target.take() {
            Some(target) => by_topic
                .entry(target.topic.clone())
                .or_default()
                .push(Addressed { push, target }),
            None => outcomes.push(outcome(push, None, NextPush::Nothing)),
        }
    }
    let mut sending = JoinSet::new();
    for (name, pushes) in by_topic {
        match topics.iter().find(|topic| topic.name() == name) {
            Some(topic) => {
                sending.spawn(send_to_topic(Arc::clone(topic), pushes, clock.clone()));
            }
            None => {
                let why = format!("no push certificate has the topic {}", name.escape_debug());
                tracing::error!(alert = "push", topic = name, "{why}");
                let lost = |each: Addressed| outcome(each.push, Some(&why), NextPush::Nothing);
                outcomes.extend(pushes.into_iter().map(lost));
            }
        }
    }
    outcomes.extend(sending.join_all().await.into_iter().flatten());
    outcomes
}

/// A push that has somewhere to go.
struct Addressed {
    push: DuePush,
    target: PushTarget,
}

async fn send_to_topic(
    topic: Arc<Topic>,
    mut pushes: Vec<Addressed>,
    clock: Clock,
) -> Vec<PushOutcome> {
    let mut outcomes = Vec::with_capacity(pushes.len());
    // One finds out whether what was wrong still is, before hundreds do.
    if topic.is_in_trouble()
        && let Some(first) = pushes.pop()
    {
        outcomes.push(send(&topic, first, &clock).await);
    }
    let mut sending = JoinSet::new();
    for push in pushes {
        let (topic, clock) = (Arc::clone(&topic), clock.clone());
        sending.spawn(async move { send(&topic, push, &clock).await });
    }
    outcomes.extend(sending.join_all().await);
    outcomes
}

#[tracing::instrument(name = "push", level = "debug", skip_all, fields(otel.kind = "consumer"))]
async fn send(topic: &Topic, Addressed { push, target }: Addressed, clock: &Clock) -> PushOutcome {
    let now = clock.now();
    if let Some((what, until)) = topic.rests(now) {
        return outcome(push, Some(&what), NextPush::PutOff(until));
    }
    let wake = match wake(&target, now) {
        Ok(wake) => wake,
        Err(error) => return outcome(push, Some(&error.to_string()), NextPush::Nothing),
    };
    let sent = topic.apns.send(&wake).await;
    let now = clock.now();
    let enrollment = push.enrollment_id.as_str();
    let (result, next) = match sent {
        Ok(Outcome::Accepted { apns_id }) => {
            tracing::info!(enrollment, apns_id, "pushed");
            topic.works();
            ("accepted".to_owned(), remind(&push, &target, now))
        }
        Ok(Outcome::Rejected(rejection)) => {
            let next = refused(topic, &push, &target, &rejection, now);
            let result = format!("{} {}", rejection.status, rejection.reason.as_str());
            (result, next)
        }
        Err(SendError::Unreachable {
            retry_in, source, ..
        }) => {
            let until = match *source {
                ConnectError::CertificateRefused { .. } => now + schedule::REST,
                _ => now + retry_in,
            };
            let why = chain(&*source);
            topic.rest(&why, now, until);
            (why, NextPush::PutOff(until))
        }
        Err(error @ SendError::Request(_)) => {
            let why = chain(&error);
            tracing::error!(enrollment, error = why, "an error in this program");
            (why, NextPush::Nothing)
        }
        Err(error) => (chain(&error), again(&push, &target, schedule::retry, now)),
    };
    if result != "accepted" {
        tracing::warn!(enrollment, reason = result, ?next, "a push failed");
    }
    outcome(push, Some(&result), next)
}

fn wake(target: &PushTarget, now: SystemTime) -> Result<Wake, WakeError> {
    let token = DeviceToken::new(target.token.expose().clone());
    let magic = PushMagic::new(target.push_magic.expose().as_str());
    Ok(Wake::new(&token, magic)?.kept_until(now + schedule::KEEP))
}

/// What follows from a refusal, for the device and its topic.
fn refused(
    topic: &Topic,
    push: &DuePush,
    target: &PushTarget,
    rejection: &Rejection,
    now: SystemTime,
) -> NextPush {
    let enrollment = push.enrollment_id.as_str();
    let (status, reason) = (rejection.status, rejection.reason.as_str());
    let action = rejection.action();
    match action {
        Action::StopTopic => {
            let until = now + schedule::REST;
            topic.rest(&format!("APNs answers {status} {reason}"), now, until);
            return NextPush::PutOff(until);
        }
        Action::Retry => topic.fails(&format!("APNs answers {status} {reason}"), now),
        // Who refuses one device's push takes the certificate.
        _ => topic.works(),
    }
    match action {
        Action::DropToken { .. } if action.concerns_token_received_at(target.received_at) => {
            NextPush::TokenDead
        }
        Action::BackOff => again(push, target, schedule::back_off, now),
        Action::AlertOperator => {
            tracing::error!(
                alert = "push",
                enrollment,
                topic = topic.name(),
                status,
                reason,
                "this device cannot be woken"
            );
            NextPush::Nothing
        }
        Action::ReportBug => {
            tracing::error!(enrollment, status, reason, "an error in this program");
            NextPush::Nothing
        }
        // A token that died before the device sent this one is another's death.
        Action::DropToken { .. } | Action::Retry | Action::StopTopic => {
            again(push, target, schedule::retry, now)
        }
    }
}

/// When a push that failed is tried again: soon, and after many failures when the device would be reminded.
fn again(
    push: &DuePush,
    target: &PushTarget,
    wait: fn(u32, u32) -> Duration,
    now: SystemTime,
) -> NextPush {
    if push.attempts < ATTEMPTS {
        NextPush::Again(now + wait(push.attempts + 1, rand::random()))
    } else {
        remind(push, target, now)
    }
}

fn remind(push: &DuePush, target: &PushTarget, now: SystemTime) -> NextPush {
    // A token of a clock that was ahead is as new as one of now.
    let age = now.duration_since(target.received_at).unwrap_or_default();
    NextPush::Reminder(now + schedule::reminder(push.reminders, age))
}

fn outcome(push: DuePush, result: Option<&str>, next: NextPush) -> PushOutcome {
    PushOutcome {
        enrollment_id: push.enrollment_id,
        generation: push.generation,
        result: result.map(str::to_owned),
        next,
    }
}
