//! A hook that did not answer.

use serde::{Deserialize, Serialize};

/// Why a hook gave no verdict. The text is for operators and the log; a person is told to try again, whatever the cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum HookFailure {
    /// The plugin panicked, ran into an illegal operation or overflowed its stack.
    #[error("the plugin trapped: {detail}")]
    Trapped {
        /// The engine's word for what happened.
        detail: String,
    },
    /// The plugin spent its instruction budget. Deterministic: a replay ends at the same place.
    #[error("the plugin spent its fuel of {limit} units")]
    OutOfFuel {
        /// The budget, in the engine's fuel units.
        limit: u64,
    },
    /// The plugin was still busy or asleep at the wall-clock deadline. Not deterministic, hence never replayed.
    #[error("the plugin did not answer within {limit_ms} ms")]
    DeadlineExceeded {
        /// The deadline, in milliseconds after the call began.
        limit_ms: u64,
    },
    /// The plugin asked for more memory, table entries or instances than it may have.
    #[error("the plugin asked for more than its {limit} {unit} of {resource}")]
    MemoryLimit {
        /// What it ran out of: `memory`, `table`.
        resource: String,
        /// The most it may have.
        limit: u64,
        /// The unit of the limit: `bytes`, `elements`.
        unit: String,
    },
    /// The plugin called the host more often, or moved more bytes across the boundary, than it may.
    #[error("the plugin used up its {limit} of `{what}`")]
    HostCallLimit {
        /// Which budget: `host-calls`, `secret-verify`, `copied-bytes`, `handles`.
        what: String,
        /// The most it may use in one call.
        limit: u64,
    },
    /// The plugin used something of the host's that its binding does not grant.
    #[error("the plugin used {what}, which its binding does not grant")]
    NotGranted {
        /// What: a capability, a directory, the origin of a URL, a credential, a destination of secrets.
        what: String,
    },
    /// Too many calls of the same hook are under way, or what it depends on cannot be reached.
    #[error("the hook is not available: {detail}")]
    Unavailable {
        /// What could not be reached.
        detail: String,
    },
    /// A decision that is made again needs an answer of the host's that was not recorded. Only a replay or a shadow run ends so.
    #[error("undetermined: the record has no answer for `{needs}`")]
    Undetermined {
        /// The call: `ldap.search`.
        needs: String,
    },
    /// The hook answered something that its contract does not allow.
    #[error("the hook's answer is not valid: {detail}")]
    InvalidAnswer {
        /// What is wrong, and what would be right.
        detail: String,
    },
}

impl HookFailure {
    /// Stable code for records, metrics and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Trapped { .. } => "trapped",
            Self::OutOfFuel { .. } => "out-of-fuel",
            Self::DeadlineExceeded { .. } => "deadline-exceeded",
            Self::MemoryLimit { .. } => "memory-limit",
            Self::HostCallLimit { .. } => "host-call-limit",
            Self::NotGranted { .. } => "not-granted",
            Self::Unavailable { .. } => "unavailable",
            Self::Undetermined { .. } => "undetermined",
            Self::InvalidAnswer { .. } => "invalid-answer",
        }
    }
}
