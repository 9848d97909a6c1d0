//! Hook point *enrollment-approval*: may this person enroll this device?

use crate::Unavailable;
pub use crate::bindings::enrollment::exports::lanyard::policy::enrollment_approval::{
    Allowance, Attestation, Question as EnrollmentQuestion, Verdict as EnrollmentVerdict,
};

/// Decides about an enrollment once the device has identified itself.
pub trait EnrollmentApproval {
    /// Allows, denies or defers.
    ///
    /// # Errors
    /// [`Unavailable`]: this attempt is refused for now.
    fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, Unavailable>;
}

impl EnrollmentVerdict {
    /// Yes, on no terms.
    #[must_use]
    pub fn allow() -> Self {
        Self::Allow(Allowance {
            settings: Vec::new(),
            relied_on: Vec::new(),
        })
    }
}
