//! Issuance: a challenge is spent and a certificate recorded together or not at all, once a SCEP transaction.

use std::time::{Duration, SystemTime};

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::certificates::{self, Certificate};
use crate::challenges::{Challenge, Spent, spend};
use crate::entity::scep_transaction::Model;
use crate::sessions::{self, SessionState};
use crate::transactions::{
    DENIAL_WINDOW, Transaction, TransactionKey, TransactionState, lock, new_row, put,
};
use crate::{ApprovalState, Store, StoreError};

/// How long the same request is answered with the same certificate. Clients retry within minutes; a key that asks again
/// after a day wants a renewal.
const REPLAY_WINDOW: Duration = Duration::from_hours(24);

/// The step that an enrollment session takes together with an issuance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionStep {
    /// The session.
    pub id: Uuid,
    /// The state that it must be in.
    pub from: SessionState,
    /// The state that it is in afterwards.
    pub to: SessionState,
}

/// A certificate that was signed and is to be handed out.
#[derive(Debug, Clone)]
pub struct NewIssuance {
    /// The transaction.
    pub key: TransactionKey,
    /// SHA-256 of what the request asks for (subject, key, extensions), hex.
    pub csr_sha256: String,
    /// What authorised it.
    pub challenge: Challenge,
    /// The certificate.
    pub certificate: Certificate,
    /// The session's step, if a session is behind it.
    pub session: Option<SessionStep>,
}

/// What became of [`Store::issue`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssueOutcome {
    /// The certificate is on record and may be handed out.
    Issued,
    /// This request, with this challenge, was answered within the last 24 hours; hand out this certificate and forget the new one.
    AlreadyIssued(Box<Certificate>),
    /// This request was denied within the last hour; nothing changed.
    Denied {
        /// Why.
        reason: String,
    },
    /// An approval that was to be used up was changed or has expired meanwhile; nothing changed.
    ApprovalGone,
    /// The challenge was used by another request; nothing changed.
    ChallengeUsed,
    /// The session is not in the state that it must be in, or does not exist; nothing changed.
    SessionMoved,
}

/// What [`Store::standing_answer`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, or nothing that stands.
    None,
    /// A certificate, within the last 24 hours.
    Issued(Box<Certificate>),
    /// A denial, within the last hour.
    Denied {
        /// Why.
        reason: String,
    },
    /// It waits.
    Waiting(Box<Transaction>),
}

impl Store {
    /// Records an issuance: spends the challenge, stores transaction and certificate, moves the session, in one
    /// transaction. However many do this at once for one request, one certificate is `Issued` and the others are told of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the authority has used this serial number before, [`StoreError::Damaged`],
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: issue", level = "debug", skip_all)]
    pub async fn issue(
        &self,
        issuance: &NewIssuance,
        now: SystemTime,
    ) -> Result<IssueOutcome, StoreError> {
        let NewIssuance {
            key,
            csr_sha256,
            challenge,
            certificate,
            session,
        } = issuance;
        let tx = self.begin().await?;
        let known = lock(&tx, key, csr_sha256).await?;
        if let Some(answer) = standing_answer(&tx, known.as_ref(), Some(&challenge.id), now).await?
        {
            return Ok(answer);
        }
        let spent_on_this = known.as_ref().is_some_and(|known| {
            known.state == TransactionState::Pending && known.challenge_id == challenge.id
        });
        if !spent_on_this
            && spend(&tx, challenge, key.request(csr_sha256), now).await? == Spent::Before
        {
            return Ok(IssueOutcome::ChallengeUsed);
        }
        if let Some(step) = session
            && sessions::step(&tx, step.id, &[step.from], step.to).await? == 0
        {
            return Ok(IssueOutcome::SessionMoved);
        }
        certificates::insert(&tx, certificate).await?;
        let row = Model {
            fingerprint: Some(certificate.fingerprint.clone()),
            ..new_row(
                key,
                csr_sha256,
                TransactionState::Issued,
                &challenge.id,
                now,
            )
        };
        put(&tx, row).await?;
        if !self.use_approvals(&tx, ApprovalState::Approved).await? {
            return Ok(IssueOutcome::ApprovalGone);
        }
        self.note(&tx, now).await?;
        self.write_record(&tx).await?;
        tx.commit().await?;
        Ok(IssueOutcome::Issued)
    }

    /// What this very request was answered before, while that stands: a repetition needs no new decision. With another challenge it is
    /// no repetition: that one may be somebody else's. Without `csr_sha256` and `challenge_id` it is the question of a poll: what
    /// was answered to the latest request?
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: standing answer", level = "debug", skip_all)]
    pub async fn standing_answer(
        &self,
        key: &TransactionKey,
        request: Option<(&str, &str)>,
        now: SystemTime,
    ) -> Result<Standing, StoreError> {
        let known = self.find_transaction(key).await?;
        let known = known.filter(|known| request.is_none_or(|(csr, _)| known.csr_sha256 == csr));
        let challenge = request.map(|(_, challenge)| challenge);
        match standing_answer(&self.reader, known.as_ref(), challenge, now).await? {
            Some(IssueOutcome::AlreadyIssued(certificate)) => Ok(Standing::Issued(certificate)),
            Some(IssueOutcome::Denied { reason }) => Ok(Standing::Denied { reason }),
            _ => Ok(known
                .filter(|known| known.state == TransactionState::Pending)
                .filter(|known| challenge.is_none_or(|id| known.challenge_id == id))
                .map_or(Standing::None, |known| Standing::Waiting(Box::new(known)))),
        }
    }
}

/// The answer that this request got before, while it stands. A poll brings no challenge: its signer's key is enough.
async fn standing_answer(
    tx: &impl ConnectionTrait,
    known: Option<&Transaction>,
    challenge_id: Option<&str>,
    now: SystemTime,
) -> Result<Option<IssueOutcome>, StoreError> {
    let Some(known) = known else {
        return Ok(None);
    };
    let within = |window: Duration| {
        // A clock that was set back makes the answer young, not old.
        now.duration_since(known.updated_at)
            .map_or(true, |age| age < window)
    };
    match known.state {
        TransactionState::Issued
            if challenge_id.is_none_or(|id| known.challenge_id == id) && within(REPLAY_WINDOW) =>
        {
            let fingerprint = known.fingerprint.as_deref().unwrap_or_default();
            let certificate = certificates::find(tx, fingerprint).await?;
            let certificate = certificate.ok_or_else(|| StoreError::Damaged {
                table: "scep_transaction",
                what: format!(
                    "an issued row names certificate {fingerprint:?}, which is not there"
                ),
            })?;
            Ok(Some(IssueOutcome::AlreadyIssued(Box::new(certificate))))
        }
        TransactionState::Denied if within(DENIAL_WINDOW) => Ok(Some(IssueOutcome::Denied {
            reason: known.reason.clone().unwrap_or_default(),
        })),
        _ => Ok(None),
    }
}
