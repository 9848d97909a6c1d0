//! May this certificate be issued, and what will it say?

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use lanyard_pki::{CertificationRequest, ExtendedKeyUsage, KeyUsage, Name, NameAttribute};
use lanyard_policy::{
    Amendments, ChallengeFacts, ChallengeOutcome, CsrFacts, HookPoint, KeyType, Purpose,
    RaQuestion, RaVerdict,
};
use lanyard_scep::{Authenticated, Authorized, CertificateProfile};
use lanyard_store::{DecisionRecord, Session};

use super::{Stopped, Transaction};
use crate::{
    Engine, Refusal, decision,
    enrollment::{device_of_session, person_of},
    records::Asked,
    refusal::chain,
    standing::Barred,
};

impl Engine {
    pub(super) async fn ask_ra_approval(
        &self,
        authenticated: Authenticated,
        Transaction {
            binding, session, ..
        }: &Transaction,
        now: SystemTime,
    ) -> Result<(Authorized, Option<DecisionRecord>), Stopped> {
        let request = authenticated.request();
        let question = RaQuestion {
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
        };
        let asked = Asked::new(
            HookPoint::RaApproval,
            &question.decision,
            &question,
            Some(session.id.to_string()),
            now,
        );
        let answer = self.hooks().ra.decide(question).await;
        let mut record = self.record(asked, &answer);
        if !matches!(&answer, Ok(decided) if matches!(decided.verdict, RaVerdict::Approve(_))) {
            self.keep_record(record.take())
                .await
                .map_err(Refusal::from)?;
        }
        let verdict = match answer {
            Ok(decided) => decided.verdict,
            // A hook that failed is asked again at the client's next poll.
            Err(failure) => {
                return Err(Stopped::Pending(format!(
                    "ra-approval failed: {}",
                    chain(&failure)
                )));
            }
        };
        match verdict {
            RaVerdict::Approve(approval) => {
                let profile =
                    self.certificate_profile(binding.purpose, session, &approval.amendments)?;
                Ok((authenticated.approve(profile), record))
            }
            RaVerdict::Deny(reason) => Err(Stopped::Rejected(format!(
                "ra-approval denied: {}",
                reason.code
            ))),
            RaVerdict::Pending(reason) => {
                Err(Stopped::Pending(format!("ra-approval: {}", reason.code)))
            }
        }
    }

    /// An identity outlives its session by far, so the person's directory is asked before each. The interim certificate comes seconds
    /// after it was asked.
    pub(super) async fn person_must_be_active(
        &self,
        Transaction {
            binding, session, ..
        }: &Transaction,
        now: SystemTime,
    ) -> Result<(), Stopped> {
        if !matches!(binding.purpose, Purpose::Identity | Purpose::Renewal) {
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
        key_bits: key
            .rsa_bits()
            .and_then(|bits| u32::try_from(bits).ok())
            .unwrap_or_default(),
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
