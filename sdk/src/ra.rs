//! Hook point *ra-approval*: may this certificate be issued?

pub use crate::bindings::ra::exports::lanyard::policy::ra_approval::{
    Approval, CertificationRequest, Challenge, Question as RaQuestion, Verdict as RaVerdict,
};
use crate::{Unavailable, fact};

/// Decides about a certification request that was read, verified and found well formed.
pub trait RaApproval {
    /// Approves, denies or defers.
    ///
    /// # Errors
    /// [`Unavailable`]: the request is asked again when the client comes back.
    fn decide(&self, question: RaQuestion) -> Result<RaVerdict, Unavailable>;
}

impl RaVerdict {
    /// Yes, narrowed by nothing.
    #[must_use]
    pub fn approve() -> Self {
        Self::Approve(Approval {
            validity_seconds: None,
            key_usages: None,
            relied_on: Vec::new(),
        })
    }
}

impl RaQuestion {
    /// A fact about the request: `endpoint`, `transaction`, `session`, `signer-serial`, `challenge-expires-at-ms`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        fact::text(&self.facts, name)
    }
}
