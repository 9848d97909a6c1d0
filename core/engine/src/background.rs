//! What the server does without being asked: telling ticks and events, looking persons up, following the sealing key, pushes, notes of when devices were last seen, forgetting what has expired.

use std::{future::Future, pin::pin, time::Duration};

use lanyard_store::StoreError;
use tokio::time::Instant;

use crate::{Engine, Refusal, refusal::chain, resealing::FOLLOW};

/// How often the outbox is looked at when nobody rings: retries come due, and last-seen times are written.
const TICK: Duration = Duration::from_secs(1);
/// The pause between two rounds of looking up persons.
const LOOK_UP: Duration = Duration::from_secs(60);
/// How often expired challenges and sessions are looked for.
const TIDY: Duration = Duration::from_secs(60);
/// How many of them one look forgets, so that no other write waits long.
const TIDY_BATCH: u64 = 500;

/// How long decision records are kept.
const DECISIONS_KEPT: Duration = Duration::from_hours(90 * 24);

impl Engine {
    /// Does all of it until `stop` is ready. Run one of it on each node: they share the work. A database that is away is tried again at the
    /// next tick.
    pub async fn work_until(&self, stop: impl Future<Output = ()>) {
        // Beside the rest: a plugin that is slow to answer must not hold up a push.
        tokio::select! {
            () = self.deliver_until(stop) => {}
            () = self.keep_looking_up_persons() => {}
            () = self.keep_telling_events() => {}
            () = self.keep_following_sealing_key() => {}
        }
    }

    async fn keep_looking_up_persons(&self) {
        loop {
            let looked_up = async {
                if self.holds("persons", 2 * LOOK_UP).await? {
                    self.look_up_persons().await?;
                }
                Ok::<_, Refusal>(())
            };
            complain("persons cannot be looked up", looked_up.await);
            tokio::time::sleep(LOOK_UP).await;
        }
    }

    async fn keep_following_sealing_key(&self) {
        let mut done = None;
        loop {
            let followed = self.follow_sealing_key(&mut done).await;
            complain("the sealing key cannot be followed", followed);
            tokio::time::sleep(FOLLOW).await;
        }
    }

    async fn keep_telling_events(&self) {
        loop {
            complain("ticks cannot be told", self.tell_ticks().await);
            complain("events cannot be delivered", self.deliver_events().await);
            tokio::select! {
                () = self.0.events.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    async fn deliver_until(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut tidy_at = Instant::now();
        loop {
            complain(
                "the push outbox cannot be worked through",
                self.push_due().await,
            );
            complain(
                "last-seen times cannot be written",
                self.write_last_seen().await,
            );
            if tidy_at <= Instant::now() {
                complain("what has expired cannot be forgotten", self.tidy().await);
                tidy_at = Instant::now() + TIDY;
            }
            tokio::select! {
                () = &mut stop => break,
                () = self.0.outbox.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        complain(
            "last-seen times cannot be written",
            self.write_last_seen().await,
        );
        complain(
            "leases cannot be given up",
            self.store().release_leases(self.0.node).await,
        );
    }

    /// Whether this node is the one that does some work, for so long; of several on one database, one is.
    pub(crate) async fn holds(&self, work: &str, time: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let holder = self.0.node;
        self.store().hold_lease(work, holder, now + time, now).await
    }

    async fn write_last_seen(&self) -> Result<(), StoreError> {
        let seen = self.0.last_seen.take();
        if seen.is_empty() {
            return Ok(());
        }
        self.store().touch_last_seen(&seen).await
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        if !self.holds("tidying", 2 * TIDY).await? {
            return Ok(());
        }
        let now = self.now();
        let challenges = self
            .store()
            .forget_expired_challenges(now, TIDY_BATCH)
            .await?;
        let sessions = self
            .store()
            .forget_abandoned_sessions(now, TIDY_BATCH)
            .await?;
        let sign_ins = self
            .store()
            .forget_expired_sign_ins(now, TIDY_BATCH)
            .await?;
        let decisions = self
            .store()
            .forget_decisions(now - DECISIONS_KEPT, TIDY_BATCH)
            .await?;
        let approvals = self.store().expire_approvals(now, TIDY_BATCH).await?;
        let transactions = self.store().forget_transactions(now, TIDY_BATCH).await?;
        if challenges + sessions + sign_ins + decisions + approvals + transactions > 0 {
            tracing::debug!(
                challenges,
                sessions,
                sign_ins,
                decisions,
                approvals,
                transactions,
                "forgot what had expired"
            );
        }
        Ok(())
    }
}

fn complain<E: std::error::Error + 'static>(what: &str, outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::error!(error = chain(&error), "{what}");
    }
}
