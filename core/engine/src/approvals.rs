//! What waits for a person's answer, and what that answer does to the chain that asked for it.
//!
//! An approval answers one binding about one subject. The chain runs again on fresh facts when the device comes back: only that
//! binding's pending is answered, everything else is decided anew.

use std::time::SystemTime;

use lanyard_policy::{Answer, Answers, Opinion, Reason};
use lanyard_store::{
    AnswerOutcome, Approval, ApprovalAnswer, ApprovalState, ApprovalSubject, NewApproval,
    StoreError,
};
use uuid::Uuid;

use crate::Engine;

/// An approval is not answered.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalRefused {
    /// No such approval.
    #[error("there is no approval {0}")]
    Unknown(String),
    /// Too late.
    #[error("the approval {id} cannot be answered any more: it {why}")]
    Over {
        /// Its id.
        id: Uuid,
        /// Why.
        why: &'static str,
    },
    /// A denial says why.
    #[error("a denial needs a reason: it goes on record, and to whoever asks why")]
    NoReason,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// The approvals about one subject when its chain is asked.
pub(crate) struct Inbox(Vec<Approval>);

impl Inbox {
    /// What was answered, by binding.
    pub(crate) fn answers(&self) -> Answers {
        let answered = self.0.iter().filter_map(|approval| {
            let id = approval.asked.id.to_string();
            let answer = match approval.state {
                ApprovalState::Approved => Answer::Approved { approval: id },
                ApprovalState::Denied => {
                    let note = approval.note.as_deref().unwrap_or_default();
                    let reason = Reason::new("denied-by-operator", note);
                    Answer::Denied(reason.relying_on("approval", id))
                }
                ApprovalState::Pending | ApprovalState::Expired => return None,
            };
            Some((approval.asked.binding.clone(), answer))
        });
        answered.collect()
    }

    /// Whether somebody has still to answer. A denial needs no further answers.
    pub(crate) fn is_waiting(&self) -> bool {
        let any = |state| self.0.iter().any(|approval| approval.state == state);
        any(ApprovalState::Pending) && !any(ApprovalState::Denied)
    }

    /// The answers that this outcome uses up.
    pub(crate) fn answered_as(&self, state: ApprovalState) -> Vec<Uuid> {
        let answered = self.0.iter().filter(|approval| approval.state == state);
        answered.map(|approval| approval.asked.id).collect()
    }
}

/// What the bindings that asked to wait want looked at.
pub(crate) fn asked_for<V>(
    opinions: &[Opinion<V>],
    answers: &Answers,
    decision: &str,
    pending: impl Fn(&V) -> Option<&Reason>,
) -> Vec<NewApproval> {
    let open = opinions
        .iter()
        .filter(|opinion| !answers.contains_key(&opinion.binding));
    open.filter_map(|opinion| {
        let reason = pending(&opinion.verdict)?;
        Some(NewApproval {
            id: Uuid::new_v4(),
            binding: opinion.binding.clone(),
            code: reason.code.clone(),
            message: reason.message.clone(),
            decision_id: decision.to_owned(),
        })
    })
    .collect()
}

impl Engine {
    pub(crate) async fn inbox(
        &self,
        subject: &ApprovalSubject,
        now: SystemTime,
    ) -> Result<Inbox, StoreError> {
        Ok(Inbox(self.store().standing_approvals(subject, now).await?))
    }

    /// Approvals, latest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn approvals(
        &self,
        state: Option<ApprovalState>,
        limit: u64,
    ) -> Result<Vec<Approval>, StoreError> {
        self.store().list_approvals(state, limit).await
    }

    /// One approval.
    ///
    /// # Errors
    /// [`ApprovalRefused`]
    pub async fn approval(&self, id: &str) -> Result<Approval, ApprovalRefused> {
        let unknown = || ApprovalRefused::Unknown(id.to_owned());
        let uuid = Uuid::try_parse(id).map_err(|_| unknown())?;
        let approval = self.store().find_approval(uuid).await?;
        approval.ok_or_else(unknown)
    }

    /// Answers an approval, or changes an answer that nothing has used. `by` is whoever says so, as they call themselves: who may
    /// open the administration's socket may call themselves anything.
    ///
    /// # Errors
    /// [`ApprovalRefused`]
    pub async fn answer_approval(
        &self,
        id: &str,
        answer: ApprovalAnswer<'_>,
    ) -> Result<Approval, ApprovalRefused> {
        if !answer.approved && answer.note.is_none_or(|reason| reason.trim().is_empty()) {
            return Err(ApprovalRefused::NoReason);
        }
        let unknown = || ApprovalRefused::Unknown(id.to_owned());
        let uuid = Uuid::try_parse(id).map_err(|_| unknown())?;
        match self
            .store()
            .answer_approval(uuid, answer, self.now())
            .await?
        {
            AnswerOutcome::Answered(approval) => {
                let (state, by) = (approval.state, answer.by);
                let decision = &approval.asked.decision_id;
                tracing::info!(approval = id, %state, by, decision, "approval answered");
                Ok(*approval)
            }
            AnswerOutcome::Over(approval) => Err(ApprovalRefused::Over {
                id: uuid,
                why: if approval.used_at.is_some() {
                    "was used"
                } else {
                    "has expired"
                },
            }),
            AnswerOutcome::Unknown => Err(unknown()),
        }
    }
}
