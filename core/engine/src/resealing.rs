//! Follows the sealing key, and seals with it what older keys sealed.

use std::time::Duration;

use lanyard_pki::seal::KeyId;
use lanyard_store::{Resealing, StoreError};

use crate::{Engine, background::KEEPER};

/// How often a node looks whether another one rotated the key. Until then it seals with the key before.
pub(crate) const FOLLOW: Duration = Duration::from_secs(5);
/// How many values one step looks at.
const STEP: u64 = 200;

impl Engine {
    /// Makes the key current under which the database is sealed, and goes once over everything that is sealed for each key that becomes
    /// current. `done` is the key for which that was done.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn follow_sealing_key(
        &self,
        done: &mut Option<KeyId>,
    ) -> Result<(), StoreError> {
        let store = self.store();
        store.follow_sealing_key().await?;
        let ring = store.key_ring();
        let current = ring.current();
        if *done == Some(current) || ring.ids().len() == 1 {
            return Ok(());
        }
        let mut pass = Resealing::default();
        while !pass.is_over() && ring.current() == current {
            // Of several nodes one does it; another looks again later, and finds it done.
            if !self.holds("resealing", KEEPER).await? {
                return Ok(());
            }
            store.reseal(&mut pass, STEP).await?;
        }
        if pass.is_over() {
            *done = Some(current);
            tracing::info!(key = %current, values = pass.resealed, "everything in the database is sealed with the current key");
        }
        Ok(())
    }
}
