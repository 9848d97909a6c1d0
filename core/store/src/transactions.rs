//! SCEP transactions on record, and the verdicts that issue nothing.
//!
//! A transaction is named by endpoint, transaction id and the signer's key; what it asks for is known by the digest of its
//! request. The same request again gets the same certificate (a reply was lost); another request under the same name is a
//! new one and needs an authorisation of its own.

use std::time::{Duration, SystemTime};

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

use crate::approvals::{
    self, APPROVAL_STANDS, ApprovalSubject, AskOutcome, NewApproval, TooManyPending,
};
use crate::challenges::{Challenge, Spent, spend};
use crate::entity::scep_transaction::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::sealed::Cell;
use crate::turn::take_turn;
use crate::word::word_enum;
use crate::{ApprovalState, Store, StoreError, Unsealed, page, sessions};

/// How long a denial stands before the same request is decided again.
pub(crate) const DENIAL_WINDOW: Duration = Duration::from_hours(1);

word_enum! {
    /// Where a SCEP transaction stands.
    pub enum TransactionState in "scep_transaction" {
        /// Its certificate exists.
        Issued = "issued",
        /// It was refused.
        Denied = "denied",
        /// Somebody has yet to decide.
        Pending = "pending",
    }
}

/// The name of a SCEP transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TransactionKey {
    /// The endpoint's name.
    pub endpoint: String,
    /// The transactionID attribute (RFC 8894 section 3.2.1.1), hex.
    pub transaction_id: String,
    /// SHA-256 of the signer's SubjectPublicKeyInfo, hex.
    pub signer_spki: String,
}

impl TransactionKey {
    /// The name of one request of it.
    pub(crate) fn request(&self, csr_sha256: &str) -> String {
        let Self {
            endpoint,
            transaction_id,
            signer_spki,
        } = self;
        format!("{endpoint}/{transaction_id}/{signer_spki}/{csr_sha256}")
    }
}

/// A SCEP transaction on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its name.
    pub key: TransactionKey,
    /// SHA-256 of what it asks for, hex.
    pub csr_sha256: String,
    /// Where it stands.
    pub state: TransactionState,
    /// The issued certificate's fingerprint.
    pub fingerprint: Option<String>,
    /// The challenge that it came with.
    pub challenge_id: String,
    /// Why it is denied or pending.
    pub reason: Option<String>,
    /// When this request was first seen.
    pub created_at: SystemTime,
    /// When it last changed.
    pub updated_at: SystemTime,
}

/// A request that is to wait.
#[derive(Debug, Clone)]
pub struct Deferral<'a> {
    /// Its transaction.
    pub key: &'a TransactionKey,
    /// SHA-256 of what it asks for, hex.
    pub csr_sha256: &'a str,
    /// What authorises it.
    pub challenge: &'a Challenge,
    /// The request itself, in DER. It is sealed: its challenge is in it.
    pub request: &'a [u8],
    /// Why it waits.
    pub reason: &'a str,
    /// The session behind it, which then lives as long as an approval stands.
    pub session: Uuid,
    /// Who and what the approvals are about.
    pub subject: &'a ApprovalSubject,
    /// What is to be looked at. Nothing, if it waits for a hook that failed.
    pub approvals: &'a [NewApproval],
}

/// What became of [`Store::defer_transaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferOutcome {
    /// It waits, and its challenge is spent on it.
    Pending,
    /// Its certificate exists already; nothing changed.
    AlreadyIssued,
    /// The challenge was used by another request; nothing changed.
    ChallengeUsed,
    /// Too much waits already; nothing changed.
    TooMany(TooManyPending),
}

/// What became of [`Store::deny_transaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyOutcome {
    /// It is denied. Its challenge, unless it was spent on waiting, is still good for another transaction.
    Denied,
    /// Its certificate exists already; nothing changed.
    AlreadyIssued,
}

impl Store {
    /// Records that a request waits for a decision, and spends its challenge on it; its approvals and the decision's record with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn defer_transaction(
        &self,
        deferral: Deferral<'_>,
        now: SystemTime,
    ) -> Result<DeferOutcome, StoreError> {
        let Deferral {
            key,
            csr_sha256,
            challenge,
            ..
        } = deferral;
        let tx = self.begin().await?;
        let known = lock(&tx, key, csr_sha256).await?;
        let same = known.filter(|known| known.challenge_id == challenge.id);
        match same.map(|known| known.state) {
            Some(TransactionState::Issued) => return Ok(DeferOutcome::AlreadyIssued),
            Some(TransactionState::Pending) => {}
            Some(TransactionState::Denied) | None => {
                if spend(&tx, challenge, key.request(csr_sha256), now).await? == Spent::Before {
                    return Ok(DeferOutcome::ChallengeUsed);
                }
                approvals::supersede(&tx, key).await?;
                let row = Model {
                    reason: Some(deferral.reason.to_owned()),
                    request: Some(self.seal(request_cell(&parts(key)), deferral.request)),
                    ..new_row(
                        key,
                        csr_sha256,
                        TransactionState::Pending,
                        &challenge.id,
                        now,
                    )
                };
                put(&tx, row).await?;
            }
        }
        if !deferral.approvals.is_empty() {
            sessions::outlast(&tx, deferral.session, now + APPROVAL_STANDS).await?;
            match approvals::ask(&tx, deferral.subject, deferral.approvals, now).await? {
                AskOutcome::Waiting => {}
                AskOutcome::TooMany(why) => return Ok(DeferOutcome::TooMany(why)),
            }
        }
        self.write_record(&tx).await?;
        tx.commit().await?;
        Ok(DeferOutcome::Pending)
    }

    /// The request of a transaction that waits, in DER.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn waiting_request(
        &self,
        key: &TransactionKey,
    ) -> Result<Option<Unsealed<Vec<u8>>>, StoreError> {
        let row = Entity::find_by_id(primary_key(key))
            .filter(Column::State.eq(TransactionState::Pending.as_str()))
            .one(&self.reader)
            .await?;
        let request = row.and_then(|row| row.request);
        request
            .map(|request| self.unseal(request_cell(&parts(key)), &request))
            .transpose()
    }

    /// Records that a request was refused; the decision's record, and the use of the approvals that it relied upon, with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn deny_transaction(
        &self,
        key: &TransactionKey,
        csr_sha256: &str,
        challenge_id: &str,
        reason: &str,
        now: SystemTime,
    ) -> Result<DenyOutcome, StoreError> {
        let tx = self.begin().await?;
        let known = lock(&tx, key, csr_sha256).await?;
        if known.is_some_and(|known| known.state == TransactionState::Issued) {
            return Ok(DenyOutcome::AlreadyIssued);
        }
        let row = Model {
            reason: Some(reason.to_owned()),
            ..new_row(key, csr_sha256, TransactionState::Denied, challenge_id, now)
        };
        put(&tx, row).await?;
        // Whether or not the denial is still what it was, the request is over.
        self.use_approvals(&tx, ApprovalState::Denied).await?;
        approvals::supersede(&tx, key).await?;
        self.write_record(&tx).await?;
        tx.commit().await?;
        Ok(DenyOutcome::Denied)
    }

    /// Forgets at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)) transactions whose denial stands no more, or that have waited longer than
    /// anybody may answer; how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_transactions(
        &self,
        now: SystemTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let older = |state: TransactionState, than: Duration| {
            Condition::all()
                .add(Column::State.eq(state.as_str()))
                .add(Column::UpdatedAt.lt(to_millis(now - than)))
        };
        let over = Condition::any()
            .add(older(TransactionState::Denied, DENIAL_WINDOW))
            .add(older(TransactionState::Pending, 2 * APPROVAL_STANDS));
        let tx = self.begin().await?;
        let old = Entity::find()
            .filter(over)
            .limit(page(limit))
            .lock_exclusive()
            .all(&tx)
            .await?;
        let forgotten = old.len() as u64;
        for row in old {
            Entity::delete_by_id((row.endpoint, row.transaction_id, row.signer_spki))
                .exec(&tx)
                .await?;
        }
        tx.commit().await?;
        Ok(forgotten)
    }

    /// Finds a transaction by its name: its latest request.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn find_transaction(
        &self,
        key: &TransactionKey,
    ) -> Result<Option<Transaction>, StoreError> {
        let row = Entity::find_by_id(primary_key(key))
            .one(&self.reader)
            .await?;
        row.map(Transaction::try_from).transpose()
    }
}

/// Reads the transaction if it is about the same request; another request is not this one's past.
pub(crate) async fn lock(
    tx: &DatabaseTransaction,
    key: &TransactionKey,
    csr_sha256: &str,
) -> Result<Option<Transaction>, StoreError> {
    take_turn(tx, "scep_transaction", &parts(key)).await?;
    let row = Entity::find_by_id(primary_key(key))
        .filter(Column::CsrSha256.eq(csr_sha256))
        .one(tx)
        .await?;
    row.map(Transaction::try_from).transpose()
}

pub(crate) fn new_row(
    key: &TransactionKey,
    csr_sha256: &str,
    state: TransactionState,
    challenge_id: &str,
    now: SystemTime,
) -> Model {
    Model {
        endpoint: key.endpoint.clone(),
        transaction_id: key.transaction_id.clone(),
        signer_spki: key.signer_spki.clone(),
        csr_sha256: csr_sha256.to_owned(),
        state: state.as_str().to_owned(),
        fingerprint: None,
        challenge_id: challenge_id.to_owned(),
        reason: None,
        request: None,
        created_at: to_millis(now),
        updated_at: to_millis(now),
    }
}

/// Writes the transaction's row. A request that was waiting keeps the time at which it began; another request under the
/// same name begins now, and what it replaces lives on in its certificate.
pub(crate) async fn put(tx: &DatabaseTransaction, mut row: Model) -> Result<(), StoreError> {
    let key = (
        row.endpoint.clone(),
        row.transaction_id.clone(),
        row.signer_spki.clone(),
    );
    if let Some(known) = Entity::find_by_id(key).one(tx).await?
        && known.csr_sha256 == row.csr_sha256
        && known.state == TransactionState::Pending.as_str()
    {
        row.created_at = known.created_at;
    }
    let mut replace =
        OnConflict::columns([Column::Endpoint, Column::TransactionId, Column::SignerSpki]);
    replace.update_columns([
        Column::CsrSha256,
        Column::State,
        Column::Fingerprint,
        Column::ChallengeId,
        Column::Reason,
        Column::Request,
        Column::CreatedAt,
        Column::UpdatedAt,
    ]);
    Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn parts(key: &TransactionKey) -> [&str; 3] {
    [&key.endpoint, &key.transaction_id, &key.signer_spki]
}

/// The sealed request of a transaction. The last two parts of its key are hex, so that no two cells share a name.
fn request_cell<'a>(key: &'a [&'a str]) -> Cell<'a> {
    Cell {
        table: "scep_transaction",
        column: "request",
        key,
    }
}

fn primary_key(key: &TransactionKey) -> (String, String, String) {
    (
        key.endpoint.clone(),
        key.transaction_id.clone(),
        key.signer_spki.clone(),
    )
}

impl TryFrom<Model> for Transaction {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            state: TransactionState::read(&row.state)?,
            key: TransactionKey {
                endpoint: row.endpoint,
                transaction_id: row.transaction_id,
                signer_spki: row.signer_spki,
            },
            csr_sha256: row.csr_sha256,
            fingerprint: row.fingerprint,
            challenge_id: row.challenge_id,
            reason: row.reason,
            created_at: from_millis(row.created_at),
            updated_at: from_millis(row.updated_at),
        })
    }
}
