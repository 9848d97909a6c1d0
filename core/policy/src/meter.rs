//! What answering a question cost and what was asked of the host, written down by hooks that can be measured.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{HostCall, Tape};

/// What one call of a plugin used up, and which plugin it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Name of the binding.
    pub binding: String,
    /// SHA-256 of the component, 64 lower-case hex digits.
    #[serde(default)]
    pub plugin: String,
    /// SHA-256 of the binding's settings, 64 lower-case hex digits.
    #[serde(default)]
    pub settings: String,
    /// What ran it, with its version: fuel compares under the same one only.
    #[serde(default)]
    pub engine: String,
    /// Fuel, in the engine's units. Deterministic for one component, question and engine version.
    pub fuel: u64,
    /// Calls of the host's capabilities.
    pub host_calls: u64,
    /// Wall-clock time, in microseconds.
    pub micros: u64,
}

/// One call of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// What it used up.
    pub used: Used,
    /// What it asked of the host, in order.
    pub host_calls: Vec<HostCall>,
}

/// Where the calls for one decision are written down, and where the host's answers come from. It travels with the question and is no
/// part of it: all meters are equal, and none is ever serialised.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    calls: Arc<Mutex<Vec<Called>>>,
    tape: Option<Tape>,
}

impl Meter {
    /// A meter of a decision that is made again: the host performs nothing and answers from this tape.
    #[must_use]
    pub fn replaying(tape: Tape) -> Self {
        Self {
            calls: Arc::default(),
            tape: Some(tape),
        }
    }

    /// Where the host's answers come from, if they are not to be had from outside.
    #[must_use]
    pub fn tape(&self) -> Option<&Tape> {
        self.tape.as_ref()
    }

    /// Writes a call down.
    pub fn note(&self, called: Called) {
        self.calls().push(called);
    }

    /// The calls so far, and forgets them.
    #[must_use]
    pub fn take(&self) -> Vec<Called> {
        std::mem::take(&mut self.calls())
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Called>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Meter {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Meter {}
