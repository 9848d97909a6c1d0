//! A component that answers for the hook point *enrollment-approval*.

use async_trait::async_trait;
use lanyard_policy::{
    Allowance, Attestation, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, HookFailure,
};

use super::EnrollmentHook;
use crate::bindings::enrollment::exports::lanyard::policy::enrollment_approval as wit;
use crate::call::Callable;
use crate::contract;

/// A plugin bound as an enrollment approval. A call must be made within a Tokio runtime.
pub struct WasmEnrollmentApproval {
    callable: Callable<EnrollmentHook>,
}

impl WasmEnrollmentApproval {
    pub(crate) fn new(callable: Callable<EnrollmentHook>) -> Self {
        Self { callable }
    }
}

#[async_trait]
impl EnrollmentApproval for WasmEnrollmentApproval {
    async fn decide(&self, question: EnrollmentQuestion) -> Result<EnrollmentVerdict, HookFailure> {
        let decision = question.decision.clone();
        let question = wit::Question {
            decision: contract::decision(&question.decision),
            person: contract::known_person(question.person),
            device: contract::device(question.device),
            attestation: match question.attestation {
                Attestation::Apple => wit::Attestation::Apple,
                Attestation::Other { root_sha256 } => wit::Attestation::Other(root_sha256),
                Attestation::None { reason } => wit::Attestation::None(reason),
            },
            facts: contract::known_facts([
                ("session", Some(question.session)),
                ("remote-address", Some(question.remote_address)),
            ]),
        };
        let verdict = self
            .callable
            .call(&decision, async |store, plugin| {
                let hook = plugin.lanyard_policy_enrollment_approval();
                hook.call_decide(store, &question).await
            })
            .await?;
        Ok(match verdict {
            wit::Verdict::Allow(terms) => EnrollmentVerdict::Allow(Allowance {
                settings: contract::facts("allowance's settings", terms.settings)?,
                relied_on: contract::facts("allowance's facts", terms.relied_on)?,
            }),
            wit::Verdict::Deny(why) => EnrollmentVerdict::Deny(contract::reason(why)?),
            wit::Verdict::Pending(why) => EnrollmentVerdict::Pending(contract::reason(why)?),
        })
    }
}
