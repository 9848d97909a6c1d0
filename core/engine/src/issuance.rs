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
    Authenticated, AuthorityResponse, Exchange, Refusal as ScepRefusal, RefusalReason, Request,
};
use lanyard_store::{Challenge, Session, SessionState, TransactionKey};
use tokio::time::{Instant, sleep_until};

use crate::{Engine, Refusal, profiles::ChallengeBinding, refusal::chain};

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
    /// [`Refusal`] if the address sends too many, or no answer could be signed.
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
            .compute(move |engine| engine.receive(&message, now))
            .await?;
        let (exchange, outcome) = match received {
            Ok((exchange, authenticated)) => {
                (exchange, self.decide_and_issue(authenticated, now).await)
            }
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

    fn receive(
        &self,
        message: &[u8],
        now: SystemTime,
    ) -> Result<(Exchange, Authenticated), ScepRefusal> {
        let request = self.setup().scep.receive(message)?;
        let exchange = request.exchange().clone();
        let authenticated = request.authenticate(&self.setup().challenges, now)?;
        Ok((exchange, authenticated))
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
            .standing_certificate(
                &transaction.key,
                &transaction.csr_sha256,
                &transaction.challenge.id,
                now,
            )
            .await
            .map_err(Refusal::from)?;
        if let Some(before) = before {
            return record::issued_before(&before.der);
        }
        self.person_must_be_active(&transaction, now).await?;
        let (authorized, record) = self
            .ask_ra_approval(authenticated, &transaction, now)
            .await?;
        self.issue(authorized, record, transaction, now).await
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

fn transaction_key(request: &Request) -> TransactionKey {
    let key = request.transaction();
    TransactionKey {
        endpoint: key.endpoint,
        transaction_id: hex::encode(key.transaction_id),
        signer_spki: hex::encode(key.signer),
    }
}
