//! A hook whose hook point is known only when it runs: questions and verdicts as JSON, as they are recorded.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    CommandSelection, Directory, EnrollmentApproval, EventSink, HookFailure, HookPoint, Lookup,
    Meter, RaApproval, ResumeSignIn, SignIn,
};

/// Somebody who answers at one hook point.
#[derive(Clone)]
pub enum AnyHook {
    /// Who is this person?
    Directory(Arc<dyn Directory>),
    /// May this person enroll this device?
    EnrollmentApproval(Arc<dyn EnrollmentApproval>),
    /// May this certificate be issued?
    RaApproval(Arc<dyn RaApproval>),
    /// Which command next?
    CommandSelection(Arc<dyn CommandSelection>),
    /// Something happened, is there anything to do?
    Event(Arc<dyn EventSink>),
}

/// A question as it was written down does not fit the hook point.
#[derive(Debug, thiserror::Error)]
#[error("this is no question of the hook point {hook}")]
pub struct NoQuestion {
    /// The hook point.
    hook: HookPoint,
    /// What does not fit.
    #[source]
    error: serde_json::Error,
}

/// The three questions of a directory; each has a field that the others lack.
#[derive(Deserialize)]
#[serde(untagged)]
enum DirectoryQuestion {
    Begin(SignIn),
    Resume(ResumeSignIn),
    Lookup(Lookup),
}

impl AnyHook {
    /// Where it answers.
    #[must_use]
    pub fn point(&self) -> HookPoint {
        match self {
            Self::Directory(_) => HookPoint::Directory,
            Self::EnrollmentApproval(_) => HookPoint::EnrollmentApproval,
            Self::RaApproval(_) => HookPoint::RaApproval,
            Self::CommandSelection(_) => HookPoint::CommandSelection,
            Self::Event(_) => HookPoint::Event,
        }
    }

    /// Asks a question as [`serde`] writes it; what it costs is noted on this meter. The inner result is the hook's own: its verdict,
    /// written in the same way.
    ///
    /// # Errors
    /// [`NoQuestion`]
    pub async fn ask(
        &self,
        question: Value,
        meter: Meter,
    ) -> Result<Result<Value, HookFailure>, NoQuestion> {
        Ok(match self {
            Self::Directory(hook) => match self.read(question)? {
                DirectoryQuestion::Begin(mut sign_in) => {
                    sign_in.decision.meter = meter;
                    written(hook.begin(sign_in).await)
                }
                DirectoryQuestion::Resume(mut sign_in) => {
                    sign_in.decision.meter = meter;
                    written(hook.resume(sign_in).await)
                }
                DirectoryQuestion::Lookup(mut lookup) => {
                    lookup.decision.meter = meter;
                    written(hook.lookup(lookup).await)
                }
            },
            Self::EnrollmentApproval(hook) => {
                let mut question: crate::EnrollmentQuestion = self.read(question)?;
                question.decision.meter = meter;
                written(hook.decide(question).await)
            }
            Self::RaApproval(hook) => {
                let mut question: crate::RaQuestion = self.read(question)?;
                question.decision.meter = meter;
                written(hook.decide(question).await)
            }
            Self::CommandSelection(hook) => {
                let mut question: crate::SelectionQuestion = self.read(question)?;
                question.decision.meter = meter;
                written(hook.select(question).await)
            }
            Self::Event(hook) => {
                let mut event: crate::Event = self.read(question)?;
                event.decision.meter = meter;
                written(hook.handle(event).await)
            }
        })
    }

    fn read<Q: DeserializeOwned>(&self, question: Value) -> Result<Q, NoQuestion> {
        serde_json::from_value(question).map_err(|error| NoQuestion {
            hook: self.point(),
            error,
        })
    }
}

fn written<V: serde::Serialize>(answer: Result<V, HookFailure>) -> Result<Value, HookFailure> {
    answer.and_then(|verdict| {
        serde_json::to_value(verdict).map_err(|error| HookFailure::InvalidAnswer {
            detail: error.to_string(),
        })
    })
}
