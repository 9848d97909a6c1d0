//! SCEP: from a pkiMessage to a certificate, by way of the challenge, the session and ra-approval.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use lanyard_pki::{
    Certificate, CertificationRequest, ExtendedKeyUsage, KeyUsage, Name, NameAttribute,
    SerialNumber,
};
use lanyard_policy::{
    Amendments, ChallengeFacts, ChallengeOutcome, CsrFacts, KeyType, Purpose, RaQuestion, RaVerdict,
};
use lanyard_scep::{
    Authenticated, AuthorityResponse, Authorized, CertificateProfile, Exchange, FailInfo,
    Refusal as ScepRefusal, Request,
};
use lanyard_store::{
    Challenge, IssueOutcome, NewCertificate, NewIssuance, Session, SessionState, SessionStep,
    TransactionKey,
};

use crate::{
    Engine, Refusal, decision,
    enrollment::{person_of, policy_device},
    profiles::ChallengeBinding,
    refusal::chain,
};

/// A refusal after decryption takes at least this long, so that its time tells nothing about where it failed.
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
    Failed(FailInfo, &'static str, String),
    Pending(String),
}

impl Stopped {
    fn unauthorised(reason: impl Into<String>) -> Self {
        Self::Failed(FailInfo::BadRequest, "not authorised", reason.into())
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Failed(FailInfo::BadRequest, "not available", refusal.to_string())
    }
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
        let started = tokio::time::Instant::now();
        let now = SystemTime::now();
        let received = self.setup().scep.receive(message).and_then(|request| {
            let exchange = request.exchange().clone();
            request
                .authenticate(&self.setup().challenges, now)
                .map(|authenticated| (exchange, authenticated))
        });
        let (exchange, stopped) = match received {
            Ok((exchange, authenticated)) => {
                match self.decide_and_issue(authenticated, now).await {
                    Ok(certificate) => {
                        let answer =
                            self.setup()
                                .scep
                                .success(&exchange, &certificate, rand::random(), now);
                        return Ok(PkiAnswer::CertRep(
                            answer.map_err(|error| Refusal::internal(&error))?,
                        ));
                    }
                    Err(stopped) => (exchange, stopped),
                }
            }
            Err(ScepRefusal::Unanswerable(reason)) => {
                tracing::info!(reason = chain(&reason), "SCEP: not a message");
                return Ok(PkiAnswer::NotAMessage);
            }
            Err(ScepRefusal::Failed { exchange, reason }) => (
                *exchange,
                Stopped::Failed(reason.fail_info(), reason.fail_text(), chain(&reason)),
            ),
        };
        tokio::time::sleep_until(started + REFUSAL_TAKES).await;
        self.stop(&exchange, stopped, now).map(PkiAnswer::CertRep)
    }

    fn stop(
        &self,
        exchange: &Exchange,
        stopped: Stopped,
        now: SystemTime,
    ) -> Result<Vec<u8>, Refusal> {
        let transaction = exchange.transaction_id().escape_ascii().to_string();
        let scep = &self.setup().scep;
        match stopped {
            Stopped::Failed(info, text, reason) => {
                tracing::warn!(transaction, reason, ?info, "SCEP: refused");
                scep.failure(exchange, info, text, rand::random(), now)
            }
            Stopped::Pending(reason) => {
                tracing::info!(transaction, reason, "SCEP: pending");
                scep.pending(exchange, rand::random(), now)
            }
        }
        .map_err(|error| Refusal::internal(&error))
    }

    async fn decide_and_issue(
        &self,
        authenticated: Authenticated,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
        let binding = ChallengeBinding::decode(&authenticated.claims().binding)
            .ok_or_else(|| Stopped::unauthorised("the challenge is bound to nothing known"))?;
        let session = self.session_for(binding, now).await?;
        let key = transaction_key(authenticated.request());
        let csr_sha256 = hex::encode(authenticated.request().csr().digest());
        if let Some(before) = self
            .store()
            .standing_certificate(&key, &csr_sha256, now)
            .await
            .map_err(Refusal::from)?
        {
            return self.issued_before(&before.der);
        }
        let challenge = Challenge {
            id: hex::encode(authenticated.claims().id),
            expires_at: authenticated.claims().expires,
        };
        let authorized = self
            .ask_ra_approval(authenticated, binding, &session, now)
            .await?;
        self.issue(
            authorized, binding, &session, challenge, key, csr_sha256, now,
        )
        .await
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
            .ok_or_else(|| Stopped::unauthorised(format!("session {id} is gone")))?;
        if now >= session.expires_at {
            return Err(Stopped::unauthorised(format!("session {id} has expired")));
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
            Err(Stopped::unauthorised(format!(
                "session {id} is {state:?}: no {} now",
                binding.purpose.as_str()
            )))
        }
    }

    async fn ask_ra_approval(
        &self,
        authenticated: Authenticated,
        binding: ChallengeBinding,
        session: &Session,
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
            RaVerdict::Deny(reason) => Err(Stopped::unauthorised(format!(
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
        let device = session.device.as_ref().ok_or_else(|| {
            Stopped::unauthorised(format!("session {} has no device", session.id))
        })?;
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
        Ok(CertificateProfile {
            subject: Name::new(&subject),
            alternative_names: Vec::new(),
            key_usage: narrowed(amendments.key_usages.as_ref()),
            extended_key_usage: vec![ExtendedKeyUsage::ClientAuth],
            lifetime: lifetime.min(amended),
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all of one transaction, named where they are put together"
    )]
    async fn issue(
        &self,
        authorized: Authorized,
        binding: ChallengeBinding,
        session: &Session,
        challenge: Challenge,
        key: TransactionKey,
        csr_sha256: String,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
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
        let outcome = self
            .store()
            .issue(&issuance, now)
            .await
            .map_err(Refusal::from)?;
        let id = session.id;
        match outcome {
            IssueOutcome::Issued => {
                let serial = &issuance.certificate.serial;
                tracing::info!(session = %id, serial, purpose = binding.purpose.as_str(), "certificate issued");
                Ok(certificate)
            }
            IssueOutcome::AlreadyIssued(before) => self.issued_before(&before.der),
            IssueOutcome::Denied { reason } => Err(Stopped::unauthorised(format!(
                "session {id}: denied before: {reason}"
            ))),
            IssueOutcome::ChallengeUsed => Err(Stopped::unauthorised(format!(
                "session {id}: the challenge was used by another request"
            ))),
            IssueOutcome::SessionMoved => Err(Stopped::unauthorised(format!(
                "session {id}: it has its interim certificate already"
            ))),
        }
    }

    fn issued_before(&self, der: &[u8]) -> Result<Certificate, Stopped> {
        Ok(Certificate::from_der(der).map_err(|error| Refusal::internal(&error))?)
    }
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

fn narrowed(kept: Option<&BTreeSet<lanyard_policy::KeyUsage>>) -> KeyUsage {
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
    .fold(KeyUsage::default(), |all, (_, usage)| all.and(usage))
}
