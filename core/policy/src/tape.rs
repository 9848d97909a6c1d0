//! What a plugin asked of the host while it answered, and what it was told: with that, its answer can be had again.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One call of the host's that has an answer from outside: a search, a bind, a request, a comparison with a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCall {
    /// Interface and function: `ldap.search`.
    pub function: String,
    /// SHA-256 of the arguments, 64 lower-case hex digits. Of a secret, only which one it was is an argument.
    pub arguments: String,
    /// The answer, as JSON; `None` if the binding's answers are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// SHA-256 of the answer as JSON, 64 lower-case hex digits.
    pub answer_sha256: String,
}

/// The calls of one decision, to answer from.
///
/// A call is found by function and arguments. The second call like one that was recorded gets the second answer; one more than were
/// recorded gets the last.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Mutex<Reels>>);

#[derive(Debug, Default)]
struct Reels {
    calls: Vec<HostCall>,
    played: Vec<bool>,
}

impl Tape {
    /// A tape of these calls, from its beginning.
    #[must_use]
    pub fn new(calls: Vec<HostCall>) -> Self {
        let played = vec![false; calls.len()];
        Self(Arc::new(Mutex::new(Reels { calls, played })))
    }

    /// The recorded call like this one; `None` if there was none.
    #[must_use]
    pub fn play(&self, function: &str, arguments: &str) -> Option<HostCall> {
        let mut reels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Reels { calls, played } = &mut *reels;
        let same: Vec<usize> = (0..calls.len())
            .filter(|&at| calls[at].function == function && calls[at].arguments == arguments)
            .collect();
        let at = same.iter().copied().find(|&at| !played[at]);
        let at = at.or_else(|| same.last().copied())?;
        played[at] = true;
        Some(calls[at].clone())
    }
}
