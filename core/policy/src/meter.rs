//! What answering a question cost, written down by hooks that can be measured.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// What one call of a hook used up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Name of the binding.
    pub binding: String,
    /// Fuel, in the engine's units. Deterministic for one component, question and engine version.
    pub fuel: u64,
    /// Calls of the host's capabilities.
    pub host_calls: u64,
    /// Wall-clock time, in microseconds.
    pub micros: u64,
}

/// Where the calls for one decision are written down. It travels with the question and is no part of it: all meters are equal, and
/// none is ever serialised.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Vec<Used>>>);

impl Meter {
    /// Writes a call down.
    pub fn note(&self, used: Used) {
        self.calls().push(used);
    }

    /// The calls so far, and forgets them.
    #[must_use]
    pub fn take(&self) -> Vec<Used> {
        std::mem::take(&mut self.calls())
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Meter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Meter {}
