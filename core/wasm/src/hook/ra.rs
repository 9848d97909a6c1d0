//! A component that answers for the hook point *ra-approval*.

use std::collections::BTreeSet;

use async_trait::async_trait;
use lanyard_policy::{
    Amendments, Approval, ChallengeOutcome, HookFailure, KeyType, KeyUsage, RaApproval, RaQuestion,
    RaVerdict,
};

use super::RaHook;
use crate::bindings::ra::exports::lanyard::policy::ra_approval as wit;
use crate::call::Callable;
use crate::contract::{self, invalid};

/// A plugin bound as a certificate approval. A call must be made within a Tokio runtime.
pub struct WasmRaApproval {
    callable: Callable<RaHook>,
}

impl WasmRaApproval {
    pub(crate) fn new(callable: Callable<RaHook>) -> Self {
        Self { callable }
    }
}

#[async_trait]
impl RaApproval for WasmRaApproval {
    async fn decide(&self, question: RaQuestion) -> Result<RaVerdict, HookFailure> {
        let decision = question.decision.clone();
        let question = asked(question);
        let verdict = self
            .callable
            .call(&decision, async |store, plugin| {
                let hook = plugin.lanyard_policy_ra_approval();
                hook.call_decide(store, &question).await
            })
            .await?;
        Ok(match verdict {
            wit::Verdict::Approve(terms) => RaVerdict::Approve(Approval {
                amendments: Amendments {
                    validity_seconds: terms.validity_seconds,
                    key_usages: terms.key_usages.map(key_usages).transpose()?,
                },
                relied_on: contract::facts("approval's facts", terms.relied_on)?,
            }),
            wit::Verdict::Deny(why) => RaVerdict::Deny(contract::reason(why)?),
            wit::Verdict::Pending(why) => RaVerdict::Pending(contract::reason(why)?),
        })
    }
}

fn asked(question: RaQuestion) -> wit::Question {
    let challenge = question.challenge;
    wit::Question {
        decision: contract::decision(&question.decision),
        purpose: question.purpose.as_str().to_owned(),
        request: wit::CertificationRequest {
            subject: question.csr.subject,
            key_type: match question.csr.key_type {
                KeyType::Rsa => "rsa".to_owned(),
                KeyType::Ec => "ec".to_owned(),
                KeyType::Other(identifier) => identifier,
            },
            key_bits: question.csr.key_bits,
            spki_sha256: question.csr.spki_sha256,
            requested_san: question.csr.requested_san,
        },
        challenge: match challenge.outcome {
            ChallengeOutcome::Held => wit::Challenge::Held,
            ChallengeOutcome::Absent => wit::Challenge::Absent,
            ChallengeOutcome::Refused { reason } => wit::Challenge::Refused(reason),
        },
        person: question.person.map(contract::known_person),
        device: question.device.map(contract::device),
        facts: contract::known_facts([
            ("endpoint", Some(question.endpoint)),
            ("transaction", Some(question.transaction)),
            ("session", question.session),
            ("signer-serial", question.signer_serial),
            (
                "challenge-expires-at-ms",
                challenge.expires_at_ms.map(|at| at.to_string()),
            ),
        ]),
    }
}

/// Key usages that this host does not know are an error: left out, they would widen what the plugin meant to narrow.
fn key_usages(names: Vec<String>) -> Result<BTreeSet<KeyUsage>, HookFailure> {
    names
        .into_iter()
        .map(|name| match name.as_str() {
            "digital-signature" => Ok(KeyUsage::DigitalSignature),
            "key-encipherment" => Ok(KeyUsage::KeyEncipherment),
            "key-agreement" => Ok(KeyUsage::KeyAgreement),
            _ => Err(invalid(
                "the approval names a key usage other than digital-signature, key-encipherment and key-agreement".to_owned(),
            )),
        })
        .collect()
}
