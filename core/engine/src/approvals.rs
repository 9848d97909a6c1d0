//! What waits for a person's answer, and what that answer does to the chain that asked for it.
//!
//! An approval answers one binding that asked about one subject for one reason, as long as the facts are those that were looked at. The
//! chain runs again on fresh facts when the device comes back: only that pending is answered, everything else is decided anew.

use std::time::SystemTime;

use lanyard_pki::Digest;
use lanyard_policy::{
    Answer, Answers, DeviceFacts, EnrollmentQuestion, Opinion, RaQuestion, Reason,
};
use lanyard_store::{
    AnswerOutcome, Approval, ApprovalAnswer, ApprovalState, ApprovalSubject, NewApproval, Shown,
    StoreError,
};
use serde_json::{Value, json};
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

/// What there is to look at before an enrollment. Who the person is stands in the approval's subject; their attributes are not looked at,
/// for they may be others at each sign-in.
pub(crate) fn shown_of_enrollment(question: &EnrollmentQuestion) -> Shown {
    let facts =
        |device: &DeviceFacts| json!({ "device": device, "attestation": question.attestation });
    Shown {
        sha256: digest(&facts(&lasting(&question.device))),
        facts: facts(&question.device),
    }
}

/// What there is to look at before a certificate. The session's facts do not change while its request waits.
pub(crate) fn shown_of_certificate(question: &RaQuestion) -> Shown {
    let facts = |device: Option<&DeviceFacts>| {
        json!({
            "endpoint": question.endpoint,
            "purpose": question.purpose,
            "csr": question.csr,
            "device": device,
            "person": question.person,
        })
    };
    let device = question.device.as_ref();
    Shown {
        sha256: digest(&facts(device.map(lasting).as_ref())),
        facts: facts(device),
    }
}

/// Without what an update changes: a device that is updated while it waits is the one that was looked at. A plugin that waits because of the
/// system's version says so in its code.
fn lasting(device: &DeviceFacts) -> DeviceFacts {
    DeviceFacts {
        os_version: None,
        build: None,
        ..device.clone()
    }
}

fn digest(facts: &Value) -> String {
    hex::encode(Digest::sha256(facts.to_string().as_bytes()))
}

/// The approvals about one subject when its chain is asked, as far as these facts are what was looked at.
pub(crate) struct Inbox {
    shown: Shown,
    standing: Vec<Approval>,
}

impl Inbox {
    /// What was answered, by binding and reason.
    pub(crate) fn answers(&self) -> Answers {
        let answered = self.standing.iter().filter_map(|approval| {
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
            let asked = &approval.asked;
            Some(((asked.binding.clone(), asked.code.clone()), answer))
        });
        answered.collect()
    }

    /// Whether somebody has still to answer. A denial needs no further answers.
    pub(crate) fn is_waiting(&self) -> bool {
        let any = |state| self.standing.iter().any(|approval| approval.state == state);
        any(ApprovalState::Pending) && !any(ApprovalState::Denied)
    }

    /// The answers that this outcome uses up.
    pub(crate) fn answered_as(&self, state: ApprovalState) -> Vec<Uuid> {
        let answered = self
            .standing
            .iter()
            .filter(|approval| approval.state == state);
        answered.map(|approval| approval.asked.id).collect()
    }

    /// What the bindings that asked to wait want looked at.
    pub(crate) fn asked_for<V>(
        &self,
        opinions: &[Opinion<V>],
        decision: &str,
        pending: impl Fn(&V) -> Option<&Reason>,
    ) -> Vec<NewApproval> {
        let answers = self.answers();
        let open = opinions.iter().filter_map(|opinion| {
            let reason = pending(&opinion.verdict)?;
            let question = (opinion.binding.clone(), reason.code.clone());
            (!answers.contains_key(&question)).then(|| NewApproval {
                id: Uuid::new_v4(),
                binding: question.0,
                code: question.1,
                message: reason.message.clone(),
                decision_id: decision.to_owned(),
                shown: self.shown.clone(),
            })
        });
        open.collect()
    }
}

impl Engine {
    pub(crate) async fn inbox(
        &self,
        subject: &ApprovalSubject,
        shown: Shown,
        now: SystemTime,
    ) -> Result<Inbox, StoreError> {
        let mut standing = self.store().standing_approvals(subject, now).await?;
        standing.retain(|approval| approval.asked.shown.sha256 == shown.sha256);
        Ok(Inbox { shown, standing })
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
                    "has expired, or another question took its place"
                },
            }),
            AnswerOutcome::Unknown => Err(unknown()),
        }
    }
}
