//! What the server does without being asked: telling ticks and events, looking persons up, following the sealing key, pushes, notes of what
//! devices did, reminding of certificates and identities that end, forgetting what has expired.

use std::{future::Future, pin::pin, time::Duration};

use lanyard_store::StoreError;
use tokio::{task::JoinSet, time::Instant};

use crate::{Engine, Refusal, refusal::chain, resealing::FOLLOW};

/// How often the outbox is looked at when nobody rings: retries come due, and notes are written.
pub(crate) const TICK: Duration = Duration::from_secs(1);
/// The pause between two rounds of looking up persons, and before reminding that failed is tried again.
const LOOK_UP: Duration = Duration::from_secs(60);
/// The work of looking up persons.
pub(crate) const PERSONS: &str = "persons";
/// The work of forgetting.
const TIDYING: &str = "tidying";
/// How long one node is the one that looks up persons, or tidies, unless it says so again.
pub(crate) const KEEPER: Duration = Duration::from_secs(15);
/// How often somebody is reminded of identities that are as they were.
const REMINDED_AGAIN: Duration = Duration::from_hours(24);
/// How often expired challenges and sessions are looked for.
const TIDY: Duration = Duration::from_secs(60);
/// How many of them one look forgets, so that no other write waits long.
const TIDY_BATCH: u64 = 500;
/// How often one look forgets that many commands, of which there are the most.
const COMMAND_BATCHES: usize = 40;

impl Engine {
    /// Does all of it until `stop` is ready. Run one of it on each node: they share the work. A database that is away is tried again at the
    /// next tick.
    pub async fn work_until(&self, stop: impl Future<Output = ()>) {
        // Beside the rest: a plugin that is slow to answer must not hold up a push.
        tokio::select! {
            () = self.deliver_until(stop) => {}
            () = self.keep_looking_up_persons() => {}
            () = self.keep_telling_events() => {}
            () = self.keep_reminding() => {}
            () = self.keep_noting() => {}
            () = self.keep_following_sealing_key() => {}
        }
    }

    async fn keep_looking_up_persons(&self) {
        let mut next = Instant::now();
        loop {
            let looked_up = async {
                let now = Instant::now();
                if self.holds(PERSONS, KEEPER).await? && next <= now {
                    next = now + LOOK_UP;
                    self.look_up_persons().await?;
                }
                Ok::<_, Refusal>(())
            };
            self.complain("persons cannot be looked up", looked_up.await);
            tokio::time::sleep(KEEPER / 3).await;
        }
    }

    async fn keep_following_sealing_key(&self) {
        let mut done = None;
        loop {
            let followed = self.follow_sealing_key(&mut done).await;
            self.complain("the sealing key cannot be followed", followed);
            tokio::time::sleep(FOLLOW).await;
        }
    }

    /// Each node in its own log, and without a lease: there is no telling which log somebody reads, and a node that starts reminds at once.
    async fn keep_reminding(&self) {
        loop {
            let reminded = self.remind().await;
            let pause = if reminded.is_ok() {
                REMINDED_AGAIN
            } else {
                LOOK_UP
            };
            self.complain("identities that end cannot be looked for", reminded);
            tokio::time::sleep(pause).await;
        }
    }

    async fn keep_telling_events(&self) {
        loop {
            self.complain("ticks cannot be told", self.tell_ticks().await);
            self.complain("events cannot be delivered", self.deliver_events().await);
            tokio::select! {
                () = self.0.events.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    async fn keep_noting(&self) {
        loop {
            tokio::time::sleep(TICK).await;
            self.complain("what devices did cannot be noted", self.write_notes().await);
        }
    }

    async fn deliver_until(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut tidy_at = Instant::now();
        loop {
            let wait = match self.push_due().await {
                Ok(wait) => wait,
                Err(error) => {
                    self.complain("the push outbox cannot be worked through", Err(error));
                    TICK
                }
            };
            if tidy_at <= Instant::now() {
                self.remind_of_certificates();
                self.complain("what has expired cannot be forgotten", self.tidy().await);
                tidy_at = Instant::now() + TIDY;
            }
            tokio::select! {
                () = &mut stop => break,
                () = self.0.outbox.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.complain("what devices did cannot be noted", self.write_notes().await);
        self.complain(
            "leases cannot be given up",
            self.store().release_leases(self.0.node).await,
        );
    }

    /// Says that something was not done, and on which database: most likely, that is away.
    fn complain<E: std::error::Error + 'static>(&self, what: &str, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            let database = self.store().place();
            tracing::error!(error = chain(&error), database, "{what}");
        }
    }

    /// Whether this node is the one that does some work, for so long; of several on one database, one is.
    pub(crate) async fn holds(&self, work: &str, time: Duration) -> Result<bool, StoreError> {
        let now = self.now();
        let holder = self.0.node;
        self.store().hold_lease(work, holder, now + time, now).await
    }

    async fn write_notes(&self) -> Result<(), StoreError> {
        self.write_sent().await?;
        let seen = self.0.notes.take_seen();
        if seen.is_empty() {
            return Ok(());
        }
        self.store().touch_last_seen(&seen).await
    }

    /// Notes which commands this node has sent: before somebody asks, too.
    pub(crate) async fn write_sent(&self) -> Result<(), StoreError> {
        let sent = self.0.notes.take_sent();
        if sent.is_empty() {
            return Ok(());
        }
        let noted = self.store().note_sent(&sent).await;
        if noted.is_err() {
            self.0.notes.put_back(sent);
        }
        noted
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        if !self.holds(TIDYING, KEEPER).await? {
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
            .forget_decisions(now - self.setup().lifetimes.decisions, TIDY_BATCH)
            .await?;
        let commands = self.forget_commands().await?;
        let approvals = self.store().expire_approvals(now, TIDY_BATCH).await?;
        let transactions = self.store().forget_transactions(now, TIDY_BATCH).await?;
        if challenges + sessions + sign_ins + decisions + commands + approvals + transactions > 0 {
            tracing::debug!(
                challenges,
                sessions,
                sign_ins,
                decisions,
                commands,
                approvals,
                transactions,
                "forgot what had expired"
            );
        }
        Ok(())
    }

    async fn forget_commands(&self) -> Result<u64, StoreError> {
        let until = self.now() - self.setup().lifetimes.commands;
        let mut forgotten = 0;
        for _ in 0..COMMAND_BATCHES {
            let batch = self.store().forget_commands(until, TIDY_BATCH).await?;
            forgotten += batch;
            if batch < TIDY_BATCH || !self.holds(TIDYING, KEEPER).await? {
                break;
            }
        }
        Ok(forgotten)
    }
}

/// Waits for all of them; one that failed does not keep the others from ending, and its error is returned in the end.
pub(crate) async fn all_done<E: 'static>(
    what: &str,
    mut tasks: JoinSet<Result<(), E>>,
) -> Result<(), E> {
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => outcome = Err(error),
            Err(error) => tracing::error!(%error, what, "a task broke off"),
        }
    }
    outcome
}
