//! A policy that was applied on another node of the same database comes into force on this one.

use std::time::Duration;

use lanyard_engine::{Engine, ErrorChain};

use super::{Policies, PolicyRefused};

/// How long another node's revision may be in force there, and not yet here.
const LOOK: Duration = Duration::from_secs(2);

impl Policies {
    /// Follows what other nodes apply, for good. What cannot be enforced here is said once, and what is in force stays.
    pub(crate) async fn follow(&self, engine: &Engine) {
        let mut refused = None;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.catch_up(engine, refused).await {
                Ok(()) => {}
                Err((revision, error)) => {
                    let error = ErrorChain(&error).to_string();
                    tracing::error!(
                        revision,
                        error,
                        "the policy in force cannot be enforced on this node"
                    );
                    refused = revision;
                }
            }
        }
    }

    async fn catch_up(
        &self,
        engine: &Engine,
        refused: Option<i64>,
    ) -> Result<(), (Option<i64>, PolicyRefused)> {
        let latest = self.latest_number().await;
        let latest = latest.map_err(|error| (None, error.into()))?;
        if latest == engine.policy_revision() || latest == refused {
            return Ok(());
        }
        self.enforce_latest(engine)
            .await
            .map_err(|error| (latest, error))
    }
}
