//! Pushes: taken from the outbox, sent to APNs, and their outcome written down.

use std::time::{Duration, SystemTime};

use lanyard_mdm::{DeviceToken, PushMagic};
use lanyard_push::{Action, Apns, Outcome, Wake, schedule};
use lanyard_store::{DuePush, PushOutcome, StoreError};
use tokio::task::JoinSet;

use crate::{Engine, refusal::chain};

/// Pushes that are under way at the same time.
const BATCH: u64 = 500;
/// How long other nodes leave a batch alone, whose node may have died. Longer than APNs may take to answer for all of it.
const TAKEN_FOR: Duration = Duration::from_secs(120);
/// Attempts after which a push is given up; the device is woken with its next command.
const ATTEMPTS: i32 = 10;

impl Engine {
    /// Sends every push that is due.
    pub(crate) async fn push_due(&self) -> Result<(), StoreError> {
        let Some(push) = &self.setup().push else {
            return Ok(());
        };
        loop {
            let now = self.now();
            let due = self
                .store()
                .take_pushes(now, now + TAKEN_FOR, BATCH)
                .await?;
            let full = due.len() as u64 == BATCH;
            let mut sending = JoinSet::new();
            for each in due {
                let push = push.clone();
                sending.spawn(async move { push_one(&push, each, now).await });
            }
            let outcomes = sending.join_all().await;
            outcomes.iter().for_each(|each| self.metrics().pushed(each));
            self.store().record_pushes(&outcomes, self.now()).await?;
            if !full {
                return Ok(());
            }
        }
    }
}

#[tracing::instrument(name = "push", level = "debug", skip_all, fields(otel.kind = "consumer"))]
async fn push_one(apns: &Apns, due: DuePush, now: SystemTime) -> PushOutcome {
    let enrollment = due.enrollment_id.as_str();
    let (result, again) = match send(apns, &due, now).await {
        Ok(Outcome::Accepted { apns_id }) => {
            tracing::info!(enrollment, apns_id, "pushed");
            ("accepted".to_owned(), None)
        }
        Ok(Outcome::Rejected(rejection)) => {
            let reason = format!("{} {}", rejection.status, rejection.reason.as_str());
            let again = match rejection.action() {
                Action::Retry | Action::BackOff => retry_at(&due, now),
                _ => None,
            };
            (reason, again)
        }
        Err(Unsent::Never(why)) => (why, None),
        Err(Unsent::Perhaps(why)) => (why, retry_at(&due, now)),
    };
    if result != "accepted" {
        let gives_up = again.is_none();
        tracing::warn!(enrollment, reason = result, gives_up, "a push failed");
    }
    PushOutcome {
        enrollment_id: due.enrollment_id,
        generation: due.generation,
        result,
        again,
    }
}

/// Why a push did not reach APNs.
enum Unsent {
    /// It cannot be sent at all.
    Never(String),
    /// It may work another time.
    Perhaps(String),
}

async fn send(apns: &Apns, due: &DuePush, now: SystemTime) -> Result<Outcome, Unsent> {
    let Some(target) = &due.target else {
        return Err(Unsent::Never("no push tokens".to_owned()));
    };
    let token = DeviceToken::new(target.token.expose().clone());
    let magic = PushMagic::new(target.push_magic.expose().as_str());
    let wake = Wake::new(&token, magic)
        .map_err(|error| Unsent::Never(error.to_string()))?
        .kept_until(now + schedule::KEEP);
    let sent = apns.send(&wake).await;
    sent.map_err(|error| Unsent::Perhaps(chain(&error)))
}

/// When a push that failed is tried again; `None` after too many attempts.
fn retry_at(due: &DuePush, now: SystemTime) -> Option<SystemTime> {
    let failures = u32::try_from(due.attempts).unwrap_or_default() + 1;
    (due.attempts < ATTEMPTS).then(|| now + schedule::retry(failures, rand::random()))
}
