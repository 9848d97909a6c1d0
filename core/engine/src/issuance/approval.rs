//! May this certificate be issued, and what will it say?

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use lanyard_pki::{CertificationRequest, ExtendedKeyUsage, KeyUsage, Name, NameAttribute};
use lanyard_policy::{
    Amendments, ChallengeFacts, ChallengeOutcome, CsrFacts, HookPoint, KeyType, Purpose,
    RaQuestion, RaVerdict, Reason,
};
use lanyard_scep::{Authenticated, CertificateProfile};
use lanyard_store::{
    ApprovalState, DecisionRecord, DeferOutcome, Deferral, DenyOutcome, NewApproval, Session,
};
use uuid::Uuid;

use super::{Decision, Stopped, Transaction};
use crate::{
    Engine, Refusal,
    approvals::Inbox,
    decision,
    enrollment::{device_of_session, person_of},
    records::Asked,
    refusal::chain,
    standing::Barred,
};

impl Engine {
    pub(super) fn ra_question(
        &self,
        authenticated: &Authenticated,
        Transaction {
            binding, session, ..
        }: &Transaction,
        now: SystemTime,
    ) -> Result<RaQuestion, Refusal> {
        let request = authenticated.request();
        Ok(RaQuestion {
            decision: decision::new(now),
            endpoint: self.setup().scep.name().to_owned(),
            transaction: request
                .exchange()
                .transaction_id()
                .escape_ascii()
                .to_string(),
            purpose: binding.purpose,
            csr: csr_facts(request.csr()),
            challenge: ChallengeFacts {
                outcome: ChallengeOutcome::Held,
                issued_at_ms: None,
                expires_at_ms: Some(decision::millis(authenticated.claims().expires)),
                claims: Default::default(),
            },
            signer_serial: None,
            session: Some(session.id.to_string()),
            device: device_of_session(session)?,
            person: Some(person_of(session)?),
        })
    }

    pub(super) async fn ask_ra_approval(
        &self,
        question: RaQuestion,
        authenticated: Authenticated,
        transaction: &Transaction,
        inbox: &Inbox,
        now: SystemTime,
    ) -> Result<Decision, Stopped> {
        let Transaction {
            binding, session, ..
        } = transaction;
        let hooks = self.hooks();
        let asked = Asked::new(
            &hooks,
            HookPoint::RaApproval,
            &question.decision,
            &question,
            Some(session.id.to_string()),
            now,
        );
        let answer = hooks.ra.answered(inbox.answers()).decide(question).await;
        let asked_in = asked.id().to_owned();
        let record = self.record(asked, &answer);
        let request = authenticated.request().csr();
        let decided = match answer {
            Ok(decided) => decided,
            // A hook that failed is asked again at the client's next poll; nobody has to look at it.
            Err(failure) => {
                let reason = format!("ra-approval failed: {}", chain(&failure));
                return self
                    .defer(transaction, request, reason, &[], record, now)
                    .await;
            }
        };
        match decided.verdict {
            RaVerdict::Approve(approval) => {
                let profile =
                    self.certificate_profile(binding.purpose, session, &approval.amendments)?;
                let authorized = authenticated.approve(profile);
                Ok(Decision::Issue(Box::new((authorized, record))))
            }
            RaVerdict::Deny(reason) => {
                let used = inbox.answered_as(ApprovalState::Denied);
                self.deny(transaction, &reason, used, record, now).await
            }
            RaVerdict::Pending(reason) => {
                let wanted = inbox.asked_for(&decided.opinions, &asked_in, |said| match said {
                    RaVerdict::Pending(reason) => Some(reason),
                    RaVerdict::Approve(_) | RaVerdict::Deny(_) => None,
                });
                let reason = format!("ra-approval: {}", reason.code);
                self.defer(transaction, request, reason, &wanted, record, now)
                    .await
            }
        }
    }

    /// Lets a request wait: for a person's answer, or, with nothing to look at, for a hook that answers.
    async fn defer(
        &self,
        transaction: &Transaction,
        request: &CertificationRequest,
        reason: String,
        wanted: &[NewApproval],
        record: Option<DecisionRecord>,
        now: SystemTime,
    ) -> Result<Decision, Stopped> {
        let deferral = Deferral {
            key: &transaction.key,
            csr_sha256: &transaction.csr_sha256,
            challenge: &transaction.challenge,
            request: request.der(),
            reason: &reason,
            session: transaction.session.id,
            subject: &transaction.subject,
            approvals: wanted,
        };
        let id = transaction.session.id;
        let deferred = self.carrying(record).defer_transaction(deferral, now).await;
        match deferred.map_err(Refusal::from)? {
            DeferOutcome::Pending => Err(Stopped::Pending(reason)),
            DeferOutcome::AlreadyIssued => self.issued_meanwhile(transaction, now).await,
            DeferOutcome::ChallengeUsed => Err(Stopped::Rejected(format!(
                "session {id}: the challenge was used by another request"
            ))),
            DeferOutcome::TooMany(why) => Err(Stopped::Rejected(format!("session {id}: {why}"))),
        }
    }

    async fn deny(
        &self,
        transaction: &Transaction,
        reason: &Reason,
        used: Vec<Uuid>,
        record: Option<DecisionRecord>,
        now: SystemTime,
    ) -> Result<Decision, Stopped> {
        let Transaction {
            key,
            csr_sha256,
            challenge,
            ..
        } = transaction;
        let reason = format!("ra-approval denied: {}: {}", reason.code, reason.message);
        let store = self.carrying(record).using(used, now);
        let denied = store.deny_transaction(key, csr_sha256, &challenge.id, &reason, now);
        match denied.await.map_err(Refusal::from)? {
            DenyOutcome::Denied => Err(Stopped::Rejected(reason)),
            DenyOutcome::AlreadyIssued => self.issued_meanwhile(transaction, now).await,
        }
    }

    /// Another message of the same transaction was faster, and its answer is this one's, too.
    async fn issued_meanwhile(
        &self,
        transaction: &Transaction,
        now: SystemTime,
    ) -> Result<Decision, Stopped> {
        match self.answered_before(transaction, now).await? {
            Some(certificate) => Ok(Decision::Before(certificate)),
            None => Err(Stopped::Rejected(
                "this request got its certificate long ago".to_owned(),
            )),
        }
    }

    /// An identity outlives its session by far, so the person's directory is asked before each; and while a request waited, its person may
    /// have been disabled. An interim certificate that does not wait comes seconds after the directory was asked.
    pub(super) async fn person_must_be_active(
        &self,
        Transaction {
            binding, session, ..
        }: &Transaction,
        waits: bool,
        now: SystemTime,
    ) -> Result<(), Stopped> {
        if !waits && !matches!(binding.purpose, Purpose::Identity | Purpose::Renewal) {
            return Ok(());
        }
        let person = person_of(session)?.reference();
        let about = Some(session.id.to_string());
        let barred = |why: &str| {
            Stopped::Rejected(format!(
                "session {}: the person may not act any more: {why}",
                session.id
            ))
        };
        match self.look_up(&person, about, now).await? {
            Ok(()) => Ok(()),
            Err(Barred::Disabled(reason)) => Err(barred(&reason.code)),
            Err(Barred::Unknown) => Err(barred("the directory does not know them")),
            // The client asks again, and so is the directory.
            Err(Barred::CannotTell(why)) => Err(Stopped::Pending(why)),
        }
    }

    /// What the certificate will say: all of it from the session, narrowed by ra-approval.
    fn certificate_profile(
        &self,
        purpose: Purpose,
        session: &Session,
        amendments: &Amendments,
    ) -> Result<CertificateProfile, Stopped> {
        let device = session
            .device
            .as_ref()
            .ok_or_else(|| Stopped::Rejected(format!("session {} has no device", session.id)))?;
        let mut subject = vec![
            (
                NameAttribute::Organization,
                self.setup().organization.as_str(),
            ),
            (NameAttribute::CommonName, device.udid.as_str()),
        ];
        if let Some(serial) = &device.serial {
            subject.push((NameAttribute::SerialNumber, serial));
        }
        let lifetimes = &self.setup().lifetimes;
        let lifetime = if purpose == Purpose::OtaInterim {
            lifetimes.interim
        } else {
            lifetimes.identity
        };
        let amended = amendments
            .validity_seconds
            .map_or(lifetime, Duration::from_secs);
        let key_usage = narrowed(amendments.key_usages.as_ref())
            .ok_or_else(|| Stopped::Rejected("ra-approval leaves no key usage".to_owned()))?;
        Ok(CertificateProfile {
            subject: Name::new(&subject),
            alternative_names: Vec::new(),
            key_usage,
            extended_key_usage: vec![ExtendedKeyUsage::ClientAuth],
            lifetime: lifetime.min(amended),
        })
    }
}

fn csr_facts(csr: &CertificationRequest) -> CsrFacts {
    let key = csr.public_key();
    CsrFacts {
        subject: csr.subject().to_string(),
        key_type: if key.rsa_bits().is_some() {
            KeyType::Rsa
        } else {
            KeyType::Ec
        },
        key_bits: u32::try_from(key.size()).unwrap_or_default(),
        spki_sha256: hex::encode(key.fingerprint()),
        requested_san: csr
            .alternative_names()
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// What is left of our key usages. Nothing is no usage to issue: a certificate without the extension is good for anything.
fn narrowed(kept: Option<&BTreeSet<lanyard_policy::KeyUsage>>) -> Option<KeyUsage> {
    [
        (
            lanyard_policy::KeyUsage::DigitalSignature,
            KeyUsage::DIGITAL_SIGNATURE,
        ),
        (
            lanyard_policy::KeyUsage::KeyEncipherment,
            KeyUsage::KEY_ENCIPHERMENT,
        ),
    ]
    .into_iter()
    .filter(|(usage, _)| kept.is_none_or(|kept| kept.contains(usage)))
    .map(|(_, usage)| usage)
    .reduce(KeyUsage::and)
}
