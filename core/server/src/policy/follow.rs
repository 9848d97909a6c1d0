//! A policy that was applied on another node of the same database comes into force on this one.

use std::time::Duration;

use lanyard_engine::{Engine, ErrorChain};
use tokio::time::Instant;

use super::{Policies, PolicyRefused};

/// How long another node's revision may be in force there, and not yet here.
const LOOK: Duration = Duration::from_secs(2);

/// When what could not be enforced is tried again: the database may have been away, or somebody has mended this node's configuration.
const AGAIN: Duration = Duration::from_secs(30);

impl Policies {
    /// Follows what other nodes apply, for good. While a revision cannot be enforced here, the one before stays in force, and the log
    /// says so each time.
    pub(crate) async fn follow(&self, engine: &Engine) {
        let mut refused: Option<(i64, Instant)> = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let latest = match self.latest_number().await {
                Ok(latest) if latest != engine.policy_revision() => latest,
                // A database that is away is noticed by everybody.
                _ => continue,
            };
            let waits = |(number, until)| Some(number) == latest && Instant::now() < until;
            if refused.is_some_and(waits) {
                continue;
            }
            if let Err(error) = self.enforce_latest(engine).await {
                complain(engine, latest, &error);
                refused = latest.map(|number| (number, Instant::now() + AGAIN));
            }
        }
    }
}

fn complain(engine: &Engine, latest: Option<i64>, error: &PolicyRefused) {
    tracing::error!(
        revision = latest,
        in_force_here = engine.policy_revision(),
        error = ErrorChain(error).to_string(),
        "the policy in force cannot be enforced on this node"
    );
}
