//! SCEP transactions on record, and the verdicts that issue nothing.
//!
//! A transaction is named by endpoint, transaction id and the signer's key; what it asks for is known by the digest of its
//! request. The same request again gets the same certificate (a reply was lost); another request under the same name is a
//! new one and needs an authorisation of its own.

use std::time::SystemTime;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};

use crate::challenges::{Challenge, Spent, spend};
use crate::entity::scep_transaction::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::word::word_enum;
use crate::{Store, StoreError};

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

/// What became of [`Store::defer_transaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeferOutcome {
    /// It waits, and its challenge is spent on it.
    Pending,
    /// It waits since an earlier message.
    AlreadyPending,
    /// Its certificate exists already; nothing changed.
    AlreadyIssued,
    /// The challenge was used by another request; nothing changed.
    ChallengeUsed,
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
    /// Records that a request waits for a decision, and spends its challenge on it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn defer_transaction(
        &self,
        key: &TransactionKey,
        csr_sha256: &str,
        challenge: &Challenge,
        reason: &str,
        now: SystemTime,
    ) -> Result<DeferOutcome, StoreError> {
        let tx = self.begin().await?;
        match lock(&tx, key, csr_sha256).await?.map(|known| known.state) {
            Some(TransactionState::Issued) => return Ok(DeferOutcome::AlreadyIssued),
            Some(TransactionState::Pending) => return Ok(DeferOutcome::AlreadyPending),
            Some(TransactionState::Denied) | None => {}
        }
        if spend(&tx, challenge, key.request(csr_sha256), now).await? == Spent::Before {
            return Ok(DeferOutcome::ChallengeUsed);
        }
        let row = Model {
            reason: Some(reason.to_owned()),
            ..new_row(
                key,
                csr_sha256,
                TransactionState::Pending,
                &challenge.id,
                now,
            )
        };
        put(&tx, row).await?;
        tx.commit().await?;
        Ok(DeferOutcome::Pending)
    }

    /// Records that a request was refused.
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
        tx.commit().await?;
        Ok(DenyOutcome::Denied)
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
    tx: &impl ConnectionTrait,
    key: &TransactionKey,
    csr_sha256: &str,
) -> Result<Option<Transaction>, StoreError> {
    let row = Entity::find_by_id(primary_key(key))
        .filter(Column::CsrSha256.eq(csr_sha256))
        .lock_exclusive()
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
        Column::CreatedAt,
        Column::UpdatedAt,
    ]);
    Entity::insert(row.into_active_model())
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await?;
    Ok(())
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
