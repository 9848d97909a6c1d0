//! What a human answered to bindings that asked to wait.

use std::collections::BTreeMap;

use crate::{Facts, Reason};

/// A human's answer to one binding's pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The binding's pending counts as a yes.
    Approved {
        /// Id of the approval, which the verdict then relies upon.
        approval: String,
    },
    /// The binding's pending counts as a no.
    Denied(Reason),
}

/// Answers by the name of the binding that asked to wait, and the code of its reason. They answer that pending and nothing else: whatever
/// it, or another binding, says on fresh facts besides that stands, and so does a pending for another reason.
pub type Answers = BTreeMap<(String, String), Answer>;

/// What a pending verdict comes to.
pub(super) enum Settled {
    /// It was approved; these facts are relied upon.
    Yes(Facts),
    /// It was denied.
    No(Reason),
    /// Nobody has answered.
    Open(Reason),
}

pub(super) fn settle(answers: &Answers, binding: &str, reason: Reason) -> Settled {
    match answers.get(&(binding.to_owned(), reason.code.clone())) {
        Some(Answer::Approved { approval }) => {
            let fact = (format!("approval/{binding}"), approval.clone().into());
            Settled::Yes(Facts::from([fact]))
        }
        Some(Answer::Denied(reason)) => Settled::No(reason.clone()),
        None => Settled::Open(reason),
    }
}
