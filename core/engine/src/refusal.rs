//! What a device is told when it does not get what it wants: little, and never 401.

use std::{error::Error, fmt};

use lanyard_store::StoreError;

/// What kind of refusal it is. A device that is answered 401 removes its management profile, so there is no kind for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The message is not accepted: malformed, unproven, replayed, expired.
    BadRequest,
    /// Policy says no.
    Forbidden,
    /// Somebody has to decide first, or what decides does not answer: try again later.
    Unavailable,
    /// Whoever asks has asked too often: try again later.
    TooMany,
    /// What we stand on fails, and may be back soon: the database cannot be reached, or its disk is full. Try again later.
    Failing,
    /// We failed.
    Internal,
}

/// A device's request is refused. The reason is for the log; outside, only the kind is shown.
#[derive(Debug)]
pub struct Refusal {
    kind: RefusalKind,
    reason: String,
}

/// Longest reason that is kept, in characters: a stranger's message may be quoted in it.
const LONGEST_REASON: usize = 500;

impl Refusal {
    fn new(kind: RefusalKind, reason: impl Into<String>) -> Self {
        let mut reason: String = reason.into();
        if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        Self { kind, reason }
    }

    /// A message that is not accepted, for this reason.
    #[must_use]
    pub fn bad_request(reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::BadRequest, reason)
    }

    pub(crate) fn forbidden(reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::Forbidden, reason)
    }

    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::Unavailable, reason)
    }

    pub(crate) fn too_many(reason: impl Into<String>) -> Self {
        Self::new(RefusalKind::TooMany, reason)
    }

    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Self {
        Self::new(RefusalKind::Internal, chain(error))
    }

    /// What kind of refusal it is.
    #[must_use]
    pub fn kind(&self) -> RefusalKind {
        self.kind
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Refusal {}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Database(_) | StoreError::Unreachable => RefusalKind::Failing,
            _ => RefusalKind::Internal,
        };
        Self::new(kind, chain(&error))
    }
}

/// Shows an error with everything that led to it, on one line for the log.
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    ErrorChain(error).to_string()
}
