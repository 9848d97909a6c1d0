//! SCEP: from a pkiMessage to a certificate, by way of the challenge, the session and ra-approval.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use lanyard_pki::{
    Certificate, CertificationRequest, ExtendedKeyUsage, KeyUsage, Name, NameAttribute,
    SerialNumber, cms::CmsError,
};
use lanyard_policy::{
    Amendments, ChallengeFacts, ChallengeOutcome, CsrFacts, KeyType, Occurrence, Purpose,
    RaQuestion, RaVerdict,
};
use lanyard_scep::{
    Authenticated, AuthorityResponse, Authorized, CertificateProfile, Exchange,
    Refusal as ScepRefusal, RefusalReason, Request,
};
use lanyard_store::{
    Challenge, IssueOutcome, NewCertificate, NewIssuance, Session, SessionState, SessionStep,
    TransactionKey,
};
use tokio::time::{Instant, sleep_until};

use crate::{
    Engine, Refusal, decision,
    enrollment::{person_of, policy_device},
    profiles::ChallengeBinding,
    refusal::chain,
};

/// Every refusal takes at least this long, which is several times what the slowest of them computes: its time tells nothing
/// about where it failed.
const REFUSAL_TAKES: Duration = Duration::from_millis(15);

/// The answer to a PKIOperation.
#[derive(Debug)]
pub enum PkiAnswer {
    /// A CertRep, whatever it says: 200.
    CertRep(Vec<u8>),
    /// Nothing that could be answered in SCEP: 400.
    NotAMessage,
}

/// How a request that may not be issued ends.
enum Stopped {
    /// Somebody or something says no.
    Rejected(String),
    /// Somebody has yet to decide.
    Pending(String),
    /// We failed.
    Fault(Refusal),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Fault(refusal)
    }
}

/// One transaction on its way to a certificate.
struct Transaction {
    binding: ChallengeBinding,
    session: Session,
    challenge: Challenge,
    key: TransactionKey,
    csr_sha256: String,
}

impl Engine {
    /// The answer to GetCACaps.
    #[must_use]
    pub fn scep_capabilities(&self) -> &'static str {
        self.setup().scep.capabilities()
    }

    /// The answer to GetCACert.
    #[must_use]
    pub fn scep_authorities(&self) -> AuthorityResponse {
        self.setup().scep.authorities()
    }

    /// Answers a PKIOperation. The certificate is recorded before it is handed out; the same request again gets the same one.
    ///
    /// # Errors
    /// [`Refusal`] if no answer could be signed.
    pub async fn pki_operation(&self, message: &[u8]) -> Result<PkiAnswer, Refusal> {
        let started = Instant::now();
        let now = self.now();
        let received = self.setup().scep.receive(message).and_then(|request| {
            let exchange = request.exchange().clone();
            let authenticated = request.authenticate(&self.setup().challenges, now)?;
            Ok((exchange, authenticated))
        });
        let answer = match received {
            Ok((exchange, authenticated)) => {
                match self.decide_and_issue(authenticated, now).await {
                    Ok(certificate) => self.issued(&exchange, &certificate, now),
                    Err(stopped) => {
                        sleep_until(started + REFUSAL_TAKES).await;
                        self.stopped(&exchange, stopped, now)
                    }
                }
            }
            Err(ScepRefusal::Failed { exchange, reason }) => {
                sleep_until(started + REFUSAL_TAKES).await;
                self.refused(&exchange, &reason, now)
            }
            Err(ScepRefusal::Unanswerable(reason)) => {
                tracing::info!(reason = chain(&reason), "SCEP: not a message");
                return Ok(PkiAnswer::NotAMessage);
            }
        };
        answer
            .map(PkiAnswer::CertRep)
            .map_err(|error| Refusal::internal(&error))
    }

    fn issued(
        &self,
        exchange: &Exchange,
        certificate: &Certificate,
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        let scep = &self.setup().scep;
        scep.success(exchange, certificate, rand::random(), now)
    }

    /// Once its signature is verified, a client gets an answer in SCEP even if we failed: it takes no other.
    fn stopped(
        &self,
        exchange: &Exchange,
        stopped: Stopped,
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        let transaction = exchange.transaction_id().escape_ascii();
        match stopped {
            Stopped::Rejected(reason) => {
                self.refused(exchange, &RefusalReason::Rejected(reason), now)
            }
            Stopped::Fault(refusal) => {
                tracing::error!(%transaction, reason = %refusal, "SCEP: failed");
                self.refused(
                    exchange,
                    &RefusalReason::Rejected("internal".to_owned()),
                    now,
                )
            }
            Stopped::Pending(reason) => {
                tracing::info!(%transaction, reason, "SCEP: pending");
                self.setup().scep.pending(exchange, rand::random(), now)
            }
        }
    }

    fn refused(
        &self,
        exchange: &Exchange,
        reason: &RefusalReason,
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        let transaction = exchange.transaction_id().escape_ascii();
        let (info, text) = (reason.fail_info(), reason.fail_text());
        tracing::warn!(%transaction, reason = chain(reason), ?info, "SCEP: refused");
        let scep = &self.setup().scep;
        scep.failure(exchange, info, text, rand::random(), now)
    }

    async fn decide_and_issue(
        &self,
        authenticated: Authenticated,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
        let binding =
            ChallengeBinding::decode(&authenticated.claims().binding).ok_or_else(|| {
                Stopped::Rejected("the challenge is bound to nothing known".to_owned())
            })?;
        let transaction = Transaction {
            session: self.session_for(binding, now).await?,
            binding,
            challenge: Challenge {
                id: hex::encode(authenticated.claims().id),
                expires_at: authenticated.claims().expires,
            },
            key: transaction_key(authenticated.request()),
            csr_sha256: hex::encode(authenticated.request().csr().digest()),
        };
        let before = self
            .store()
            .standing_certificate(&transaction.key, &transaction.csr_sha256, now)
            .await
            .map_err(Refusal::from)?;
        if let Some(before) = before {
            return issued_before(&before.der);
        }
        let authorized = self
            .ask_ra_approval(authenticated, &transaction, now)
            .await?;
        self.issue(authorized, transaction, now).await
    }

    /// The session that the challenge was minted for, if it waits for such a certificate.
    async fn session_for(
        &self,
        binding: ChallengeBinding,
        now: SystemTime,
    ) -> Result<Session, Stopped> {
        let id = binding.session;
        let session = self
            .store()
            .find_session(id)
            .await
            .map_err(Refusal::from)?
            .ok_or_else(|| Stopped::Rejected(format!("session {id} is gone")))?;
        if now >= session.expires_at {
            return Err(Stopped::Rejected(format!("session {id} has expired")));
        }
        // One state later is a lost answer that is asked for again: the transaction decides.
        let fits = match binding.purpose {
            Purpose::OtaInterim => matches!(
                session.state,
                SessionState::Identified | SessionState::Certified
            ),
            Purpose::Identity => matches!(
                session.state,
                SessionState::Delivered | SessionState::Completed
            ),
            Purpose::Renewal | Purpose::Other => false,
        };
        if fits {
            Ok(session)
        } else {
            let state = session.state;
            Err(Stopped::Rejected(format!(
                "session {id} is {state:?}: no {} now",
                binding.purpose.as_str()
            )))
        }
    }

    async fn ask_ra_approval(
        &self,
        authenticated: Authenticated,
        Transaction {
            binding, session, ..
        }: &Transaction,
        now: SystemTime,
    ) -> Result<Authorized, Stopped> {
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
            device: session.device.as_ref().map(policy_device),
            person: Some(person_of(session)?),
        };
        let verdict = match self.setup().hooks.ra.decide(question).await {
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
                Ok(authenticated.approve(profile))
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

    async fn issue(
        &self,
        authorized: Authorized,
        transaction: Transaction,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
        let Transaction {
            binding,
            session,
            challenge,
            key,
            csr_sha256,
        } = transaction;
        let certificate = self
            .setup()
            .scep
            .issue(&authorized, SerialNumber::from_random(rand::random()), now)
            .map_err(|error| Refusal::internal(&error))?;
        let step = (binding.purpose == Purpose::OtaInterim).then_some(SessionStep {
            id: session.id,
            from: SessionState::Identified,
            to: SessionState::Certified,
        });
        let new = NewCertificate {
            fingerprint: hex::encode(certificate.fingerprint()),
            serial: hex::encode(certificate.serial()),
            authority: hex::encode(self.setup().scep.authority().fingerprint()),
            subject: certificate.subject().to_string(),
            purpose: binding.purpose.as_str().to_owned(),
            session_id: Some(session.id),
            device_id: session.device.as_ref().map(|device| device.udid.clone()),
            issued_at: now,
            not_after: certificate.not_after(),
            der: certificate.der().to_vec(),
        };
        let issuance = NewIssuance {
            key,
            csr_sha256,
            challenge,
            certificate: new,
            session: step,
        };
        let device = session.device.as_ref();
        let issued = Occurrence::CertificateIssued {
            serial: issuance.certificate.serial.clone(),
            purpose: binding.purpose,
            person: Some(person_of(&session)?.reference()),
            udid: device.map(|device| device.udid.clone()),
        };
        let store = self.noting(issued, now)?;
        let outcome = store.issue(&issuance, now).await.map_err(Refusal::from)?;
        let id = session.id;
        match outcome {
            IssueOutcome::Issued => {
                let serial = &issuance.certificate.serial;
                tracing::info!(session = %id, serial, purpose = binding.purpose.as_str(), "certificate issued");
                Ok(certificate)
            }
            IssueOutcome::AlreadyIssued(before) => issued_before(&before.der),
            IssueOutcome::Denied { reason } => Err(Stopped::Rejected(format!(
                "session {id}: denied before: {reason}"
            ))),
            IssueOutcome::ChallengeUsed => Err(Stopped::Rejected(format!(
                "session {id}: the challenge was used by another request"
            ))),
            IssueOutcome::SessionMoved => Err(Stopped::Rejected(format!(
                "session {id}: it has its interim certificate already"
            ))),
        }
    }
}

fn issued_before(der: &[u8]) -> Result<Certificate, Stopped> {
    Ok(Certificate::from_der(der).map_err(|error| Refusal::internal(&error))?)
}

fn transaction_key(request: &Request) -> TransactionKey {
    let key = request.transaction();
    TransactionKey {
        endpoint: key.endpoint,
        transaction_id: hex::encode(key.transaction_id),
        signer_spki: hex::encode(key.signer),
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
