//! What can be wrong with a command, and with an answer.

/// A dictionary or value that is not a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The dictionary names no command.
    #[error(
        "a command needs `RequestType`: a string of 1 to 127 printable ASCII characters that names it"
    )]
    RequestType,
    /// A key that the command cannot do without is not there.
    #[error("{request_type} needs `{key}`: {expected}")]
    Missing {
        /// The command.
        request_type: &'static str,
        /// The key.
        key: &'static str,
        /// What its value must be.
        expected: &'static str,
    },
    /// A key that the command does not have: mistyped, or newer than the catalogue.
    #[error("{request_type} has no key `{key}`")]
    Unknown {
        /// The command.
        request_type: String,
        /// The key.
        key: String,
    },
    /// A key has a value of another type, or one that the command cannot have. The value is not repeated here: it may
    /// be a secret.
    #[error("{request_type}: `{key}` must be {expected}")]
    Wrong {
        /// The command.
        request_type: &'static str,
        /// The key.
        key: &'static str,
        /// What its value must be.
        expected: &'static str,
    },
}

/// A response that lacks what its command asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the answer to {request_type} has no `{key}`, or not as {expected}")]
pub struct AnswerError {
    /// The command that was answered.
    pub request_type: &'static str,
    /// The key.
    pub key: &'static str,
    /// What its value must be.
    pub expected: &'static str,
}
