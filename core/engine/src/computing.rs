//! Signing and decrypting off the threads that answer everybody.

use std::{sync::Arc, thread::available_parallelism};

use tokio::sync::Semaphore;

use crate::{Engine, Refusal};

/// As many private-key operations at a time as there are processors: more would only take time from each other, and from
/// the requests that need none.
pub(crate) struct Computing(Arc<Semaphore>);

impl Default for Computing {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(processors)))
    }
}

impl Engine {
    /// Runs what takes a millisecond of computing on a thread of its own.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let place = Arc::clone(&self.0.computing.0)
            .acquire_owned()
            .await
            .map_err(|error| Refusal::internal(&error))?;
        let engine = self.clone();
        let computed = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&engine)
        });
        computed.await.map_err(|error| Refusal::internal(&error))
    }
}
