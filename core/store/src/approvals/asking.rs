//! What a hook wants looked at: asked for once, and replaced when something else is asked.

use std::time::SystemTime;

use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter,
};

use super::{
    APPROVAL_STANDS, Approval, ApprovalState, ApprovalSubject, NewApproval, expire, of_transaction,
    standing,
};
use crate::entity::approval::{Column, Entity, Model};
use crate::instant::to_millis;
use crate::turn::take_turn;
use crate::{Store, StoreError, TransactionKey};

/// The most that wait at once: more than anybody reads.
const MOST_PENDING: u64 = 1_000;

/// The most that wait at once on behalf of one person, who could otherwise fill the inbox alone: a UDID is only what a device says.
const MOST_PENDING_OF_A_PERSON: u64 = 16;

/// What became of [`Store::ask_approvals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskOutcome {
    /// They wait, those that waited before among them.
    Waiting,
    /// Too many wait already; none was added.
    TooMany(TooManyPending),
}

/// Why nothing more may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooManyPending {
    /// In all.
    #[error(
        "{MOST_PENDING} approvals are pending, and no more may be: answer some (`lanyard approvals list`)"
    )]
    InAll,
    /// On behalf of the person.
    #[error(
        "{MOST_PENDING_OF_A_PERSON} approvals are pending for this person, and no more may be: answer some (`lanyard approvals list`)"
    )]
    OfPerson,
}

impl Store {
    /// Records what is to be looked at before an enrollment goes on, and writes the decision's record with it. A binding that has
    /// asked [the same](NewApproval::is_same_question) about this subject and was not answered, or whose answer was not used, is not
    /// recorded again; if it asked something else, that has expired.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn ask_approvals(
        &self,
        subject: &ApprovalSubject,
        asked: &[NewApproval],
        now: SystemTime,
    ) -> Result<AskOutcome, StoreError> {
        let tx = self.begin().await?;
        let outcome = ask(&tx, subject, asked, now).await?;
        self.write_record(&tx).await?;
        tx.commit().await?;
        Ok(outcome)
    }
}

/// Records what is to be looked at, inside another use case's transaction.
pub(crate) async fn ask(
    tx: &DatabaseTransaction,
    subject: &ApprovalSubject,
    asked: &[NewApproval],
    now: SystemTime,
) -> Result<AskOutcome, StoreError> {
    take_turn(tx, "approval", &[]).await?;
    let standing = standing(tx, subject, now).await?;
    let known = |new: &&NewApproval| !standing.iter().any(|old| old.asked.is_same_question(new));
    let new: Vec<&NewApproval> = asked.iter().filter(known).collect();
    if new.is_empty() {
        return Ok(AskOutcome::Waiting);
    }
    let replaced: Vec<&Approval> = standing
        .iter()
        .filter(|old| new.iter().any(|new| old.asked.binding == new.binding))
        .filter(|old| old.state != ApprovalState::Denied)
        .collect();
    let waited = |old: &&&Approval| old.state == ApprovalState::Pending;
    let freed = replaced.iter().filter(waited).count() as u64;
    let pending = || {
        Entity::find()
            .filter(Column::State.eq(ApprovalState::Pending.as_str()))
            .filter(Column::ExpiresAt.gt(to_millis(now)))
    };
    let of_person = pending()
        .filter(Column::Directory.eq(&subject.directory))
        .filter(Column::PersonId.eq(&subject.person_id));
    let more = new.len() as u64;
    if of_person.count(tx).await? + more > freed + MOST_PENDING_OF_A_PERSON {
        return Ok(AskOutcome::TooMany(TooManyPending::OfPerson));
    }
    if pending().count(tx).await? + more > freed + MOST_PENDING {
        return Ok(AskOutcome::TooMany(TooManyPending::InAll));
    }
    let replaced = replaced.iter().map(|old| old.asked.id.to_string());
    expire(tx, Condition::all().add(Column::Id.is_in(replaced))).await?;
    let rows = new.into_iter().map(|new| row(subject, new, now));
    Entity::insert_many(rows.map(IntoActiveModel::into_active_model))
        .exec_without_returning(tx)
        .await?;
    Ok(AskOutcome::Waiting)
}

/// Ends what waits for other requests of this transaction: another request has taken their place.
pub(crate) async fn supersede(
    tx: &DatabaseTransaction,
    key: &TransactionKey,
) -> Result<(), StoreError> {
    expire(tx, of_transaction(key)).await?;
    Ok(())
}

fn row(subject: &ApprovalSubject, new: &NewApproval, now: SystemTime) -> Model {
    let request = subject.request.as_ref();
    let key = request.map(|request| request.transaction.clone());
    let (endpoint, transaction_id, signer_spki) = match key {
        Some(key) => (
            Some(key.endpoint),
            Some(key.transaction_id),
            Some(key.signer_spki),
        ),
        None => (None, None, None),
    };
    Model {
        id: new.id.to_string(),
        binding: new.binding.clone(),
        directory: subject.directory.clone(),
        person_id: subject.person_id.clone(),
        udid: subject.udid.clone(),
        endpoint,
        transaction_id,
        signer_spki,
        csr_sha256: request.map(|request| request.csr_sha256.clone()),
        code: new.code.clone(),
        message: new.message.clone(),
        decision_id: new.decision_id.clone(),
        facts: Some(new.shown.facts.clone()),
        facts_sha256: Some(new.shown.sha256.clone()),
        state: ApprovalState::Pending.as_str().to_owned(),
        created_at: to_millis(now),
        expires_at: to_millis(now + APPROVAL_STANDS),
        decided_at: None,
        decided_by: None,
        note: None,
        used_at: None,
    }
}
