//! Pushes: taken from the outbox, sent to APNs, and their outcome written down.

use std::time::SystemTime;

use lanyard_mdm::{DeviceToken, PushMagic};
use lanyard_push::{Action, Apns, Outcome, Wake, schedule};
use lanyard_store::{DuePush, StoreError};
use tokio::task::JoinSet;

use crate::{Engine, refusal::chain};

/// Pushes that are under way at the same time.
const BATCH: u64 = 100;
/// Attempts after which a push is given up; the device is woken with its next command.
const ATTEMPTS: i32 = 10;

impl Engine {
    /// Sends every push that is due.
    pub(crate) async fn push_due(&self) -> Result<(), StoreError> {
        let Some(push) = &self.setup().push else {
            return Ok(());
        };
        loop {
            let due = self.store().due_pushes(self.now(), BATCH).await?;
            let full = due.len() as u64 == BATCH;
            let mut sending = JoinSet::new();
            for each in due {
                let (engine, push) = (self.clone(), push.clone());
                sending.spawn(async move { engine.push_one(&push, each).await });
            }
            while let Some(outcome) = sending.join_next().await {
                if let Ok(outcome) = outcome {
                    outcome?;
                }
            }
            if !full {
                return Ok(());
            }
        }
    }

    async fn push_one(&self, apns: &Apns, due: DuePush) -> Result<(), StoreError> {
        let now = self.now();
        let enrollment = due.enrollment_id.as_str();
        let Some(target) = &due.target else {
            return self.give_up(&due, "no push tokens", now).await;
        };
        let token = DeviceToken::new(target.token.expose().clone());
        let magic = PushMagic::new(target.push_magic.expose().as_str());
        let wake = match Wake::new(&token, magic) {
            Ok(wake) => wake.kept_until(now + schedule::KEEP),
            Err(error) => return self.give_up(&due, &error.to_string(), now).await,
        };
        match apns.send(&wake).await {
            Ok(Outcome::Accepted { apns_id }) => {
                tracing::info!(enrollment, apns_id, "pushed");
                self.store()
                    .pushed(enrollment, due.generation, "accepted", now)
                    .await?;
                Ok(())
            }
            Ok(Outcome::Rejected(rejection)) => {
                let reason = format!("{} {}", rejection.status, rejection.reason.as_str());
                match rejection.action() {
                    Action::Retry | Action::BackOff => self.retry(&due, &reason, now).await,
                    action => {
                        tracing::warn!(enrollment, reason, ?action, "APNs refused a push");
                        self.give_up(&due, &reason, now).await
                    }
                }
            }
            Err(error) => self.retry(&due, &chain(&error), now).await,
        }
    }

    async fn retry(&self, due: &DuePush, reason: &str, now: SystemTime) -> Result<(), StoreError> {
        if due.attempts >= ATTEMPTS {
            return self.give_up(due, reason, now).await;
        }
        let failures = u32::try_from(due.attempts).unwrap_or_default() + 1;
        let wait = schedule::retry(failures, rand::random());
        tracing::warn!(
            enrollment = due.enrollment_id,
            reason,
            ?wait,
            "a push failed and is tried again"
        );
        self.store()
            .retry_push_at(due, now + wait, reason, now)
            .await?;
        Ok(())
    }

    async fn give_up(
        &self,
        due: &DuePush,
        reason: &str,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        tracing::warn!(enrollment = due.enrollment_id, reason, "a push is given up");
        self.store()
            .pushed(&due.enrollment_id, due.generation, reason, now)
            .await?;
        Ok(())
    }
}
