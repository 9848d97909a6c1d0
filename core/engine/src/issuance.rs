//! SCEP: from a pkiMessage to a certificate, by way of the challenge, the session and ra-approval.

mod approval;
mod record;

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use lanyard_pki::{Certificate, cms::CmsError};
use lanyard_policy::Purpose;
use lanyard_scep::{
    Authenticated, AuthorityResponse, Authorized, ChallengeError, Exchange, Received,
    Refusal as ScepRefusal, RefusalReason,
};
use lanyard_store::{
    ApprovalState, ApprovalSubject, Challenge, DecisionRecord, RequestKey, Session, SessionState,
    Standing, TransactionKey,
};
use tokio::time::{Instant, sleep_until};

use crate::{Engine, Refusal, approvals, profiles::ChallengeBinding, refusal::chain};

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
    /// The message is not acceptable.
    Refused(RefusalReason),
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

impl From<ScepRefusal> for Stopped {
    fn from(refusal: ScepRefusal) -> Self {
        match refusal {
            ScepRefusal::Failed { reason, .. } | ScepRefusal::Unanswerable(reason) => {
                Self::Refused(reason)
            }
        }
    }
}

/// What ra-approval comes to when nothing stops the request.
enum Decision {
    /// A certificate is to be issued, and this record kept with it.
    Issue(Box<(Authorized, Option<DecisionRecord>)>),
    /// Another message of the same transaction was faster.
    Before(Certificate),
}

/// One transaction on its way to a certificate.
struct Transaction {
    binding: ChallengeBinding,
    session: Session,
    subject: ApprovalSubject,
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
    /// [`Refusal`] if the address sends too many, or no answer could be signed.
    #[tracing::instrument(name = "PKI operation", level = "debug", skip_all)]
    pub async fn pki_operation(
        &self,
        message: &[u8],
        remote: IpAddr,
    ) -> Result<PkiAnswer, Refusal> {
        self.admit_message(remote)?;
        let started = Instant::now();
        let now = self.now();
        let message = message.to_vec();
        let received = self
            .compute(move |engine| engine.setup().scep.receive(&message))
            .await?;
        let (exchange, outcome) = match received {
            Ok(received) => (
                received.exchange().clone(),
                self.decide(received, now).await,
            ),
            Err(ScepRefusal::Failed { exchange, reason }) => {
                (*exchange, Err(Stopped::Refused(reason)))
            }
            Err(ScepRefusal::Unanswerable(reason)) => {
                tracing::info!(reason = chain(&reason), "SCEP: not a message");
                return Ok(PkiAnswer::NotAMessage);
            }
        };
        if outcome.is_err() {
            sleep_until(started + REFUSAL_TAKES).await;
        }
        self.compute(move |engine| engine.answer(&exchange, outcome, now))
            .await?
            .map(PkiAnswer::CertRep)
            .map_err(|error| Refusal::internal(&error))
    }

    /// Once its signature is verified, a client gets an answer in SCEP even if we failed: it takes no other.
    fn answer(
        &self,
        exchange: &Exchange,
        outcome: Result<Certificate, Stopped>,
        now: SystemTime,
    ) -> Result<Vec<u8>, CmsError> {
        let scep = &self.setup().scep;
        let transaction = exchange.transaction_id().escape_ascii();
        let reason = match outcome {
            Ok(certificate) => return scep.success(exchange, &certificate, rand::random(), now),
            Err(Stopped::Pending(reason)) => {
                tracing::info!(%transaction, reason, "SCEP: pending");
                return scep.pending(exchange, rand::random(), now);
            }
            Err(Stopped::Fault(refusal)) => {
                tracing::error!(%transaction, reason = %refusal, "SCEP: failed");
                RefusalReason::Rejected("internal".to_owned())
            }
            Err(Stopped::Refused(reason)) => reason,
            Err(Stopped::Rejected(reason)) => RefusalReason::Rejected(reason),
        };
        let (info, text) = (reason.fail_info(), reason.fail_text());
        tracing::warn!(%transaction, reason = chain(&reason), ?info, "SCEP: refused");
        scep.failure(exchange, info, text, rand::random(), now)
    }

    /// A request, or a poll for one that waits: both come to the request, and the request to a certificate.
    async fn decide(&self, received: Received, now: SystemTime) -> Result<Certificate, Stopped> {
        let key = transaction_key(received.transaction());
        let latest = self.store().standing_answer(&key, None, now).await;
        let latest = latest.map_err(Refusal::from)?;
        let (request, waiting) = match (received, latest) {
            (Received::Request(request), latest) => {
                let csr_sha256 = hex::encode(request.csr().digest());
                let waiting = match latest {
                    Standing::Waiting(known) if known.csr_sha256 == csr_sha256 => Some(known),
                    _ => None,
                };
                (*request, waiting)
            }
            (Received::Poll(poll), Standing::Waiting(known)) => {
                let request = self.store().waiting_request(&key).await;
                let request = request.map_err(Refusal::from)?;
                let Some(request) = request else {
                    return self.settled_meanwhile(&key, now).await;
                };
                (poll.resume(request.expose())?, Some(known))
            }
            (Received::Poll(_), Standing::Issued(before)) => {
                return record::issued_before(&before.der);
            }
            (Received::Poll(_), Standing::Denied { reason }) => {
                return Err(Stopped::Rejected(format!("denied before: {reason}")));
            }
            (Received::Poll(_), Standing::None) => {
                return Err(Stopped::Refused(RefusalReason::UnknownTransaction));
            }
        };
        // A request may wait longer than its challenge lives: what counts is that it came in time, with that challenge.
        let came = waiting.as_ref().map_or(now, |known| known.created_at);
        let authenticated = request.authenticate(&self.setup().challenges, came)?;
        let claims = authenticated.claims();
        let waits = waiting.is_some_and(|known| known.challenge_id == hex::encode(claims.id));
        if !waits && now >= claims.expires {
            let expired = RefusalReason::Challenge(ChallengeError::Expired);
            return Err(Stopped::Refused(expired));
        }
        self.decide_and_issue(authenticated, key, waits, now).await
    }

    /// What came of a request between two looks at it.
    async fn settled_meanwhile(
        &self,
        key: &TransactionKey,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
        let standing = self.store().standing_answer(key, None, now).await;
        match standing.map_err(Refusal::from)? {
            Standing::Issued(before) => record::issued_before(&before.der),
            Standing::Denied { reason } => {
                Err(Stopped::Rejected(format!("denied before: {reason}")))
            }
            Standing::Waiting(_) => Err(Stopped::Pending("it was asked anew meanwhile".to_owned())),
            Standing::None => Err(Stopped::Refused(RefusalReason::UnknownTransaction)),
        }
    }

    async fn decide_and_issue(
        &self,
        authenticated: Authenticated,
        key: TransactionKey,
        waits: bool,
        now: SystemTime,
    ) -> Result<Certificate, Stopped> {
        let binding =
            ChallengeBinding::decode(&authenticated.claims().binding).ok_or_else(|| {
                Stopped::Rejected("the challenge is bound to nothing known".to_owned())
            })?;
        let session = self.session_for(binding, now).await?;
        let csr_sha256 = hex::encode(authenticated.request().csr().digest());
        let device = session.device.as_ref();
        let transaction = Transaction {
            subject: ApprovalSubject {
                directory: session.directory.clone(),
                person_id: session.person_id.clone(),
                udid: device.map(|device| device.udid.clone()).unwrap_or_default(),
                request: Some(RequestKey {
                    transaction: key.clone(),
                    csr_sha256: csr_sha256.clone(),
                }),
            },
            session,
            binding,
            challenge: Challenge {
                id: hex::encode(authenticated.claims().id),
                expires_at: authenticated.claims().expires,
            },
            key,
            csr_sha256,
        };
        if let Some(certificate) = self.answered_before(&transaction, now).await? {
            return Ok(certificate);
        }
        let question = self.ra_question(&authenticated, &transaction, now)?;
        let shown = approvals::shown_of_certificate(&question);
        let inbox = self.inbox(&transaction.subject, shown, now).await;
        let inbox = inbox.map_err(Refusal::from)?;
        if inbox.is_waiting() {
            return Err(Stopped::Pending("nobody has answered yet".to_owned()));
        }
        self.person_must_be_active(&transaction, waits, now).await?;
        match self
            .ask_ra_approval(question, authenticated, &transaction, &inbox, now)
            .await?
        {
            Decision::Issue(approved) => {
                let (authorized, record) = *approved;
                let used = inbox.answered_as(ApprovalState::Approved);
                self.issue(authorized, record, used, transaction, now).await
            }
            Decision::Before(certificate) => Ok(certificate),
        }
    }

    /// The certificate that this very request got before.
    async fn answered_before(
        &self,
        transaction: &Transaction,
        now: SystemTime,
    ) -> Result<Option<Certificate>, Stopped> {
        let Transaction {
            key,
            csr_sha256,
            challenge,
            ..
        } = transaction;
        let request = Some((csr_sha256.as_str(), challenge.id.as_str()));
        let standing = self.store().standing_answer(key, request, now).await;
        match standing.map_err(Refusal::from)? {
            Standing::Issued(before) => record::issued_before(&before.der).map(Some),
            Standing::Denied { reason } => {
                Err(Stopped::Rejected(format!("denied before: {reason}")))
            }
            Standing::Waiting(_) | Standing::None => Ok(None),
        }
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
}

fn transaction_key(key: lanyard_scep::TransactionKey) -> TransactionKey {
    TransactionKey {
        endpoint: key.endpoint,
        transaction_id: hex::encode(key.transaction_id),
        signer_spki: hex::encode(key.signer),
    }
}
