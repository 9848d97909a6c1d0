//! Approvals: what a hook wants a person to look at before an enrollment or a certificate goes on.
//!
//! One approval answers one binding about one subject, once. It stands for a week from when it was asked for, answered or not; until
//! it is used, its answer may be changed.

use std::time::{Duration, SystemTime};

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction,
    EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::connect::take_turn;
use crate::entity::approval::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::word::word_enum;
use crate::{Store, StoreError, TransactionKey, page};

/// How long an approval stands, from when it was asked for.
pub const APPROVAL_STANDS: Duration = Duration::from_hours(7 * 24);

/// How long an approval is kept after it has ended, for whoever asks why.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// The most that wait at once: more than anybody reads.
const MOST_PENDING: u64 = 1_000;

/// The most that wait at once on behalf of one person, who could otherwise fill the inbox alone: a UDID is only what a device says.
const MOST_PENDING_OF_A_PERSON: u64 = 16;

word_enum! {
    /// Where an approval stands.
    pub enum ApprovalState in "approval" {
        /// Nobody has answered.
        Pending = "pending",
        /// The answer is yes.
        Approved = "approved",
        /// The answer is no.
        Denied = "denied",
        /// Its week was over before it was answered, or before a yes was used; or its request was replaced by another.
        Expired = "expired",
    }
}

/// What an approval is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalSubject {
    /// The person's directory.
    pub directory: String,
    /// The person, within it.
    pub person_id: String,
    /// The device.
    pub udid: String,
    /// The request for a certificate; `None` if the enrollment itself waits.
    pub request: Option<RequestKey>,
}

/// One request of a SCEP transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The transaction.
    pub transaction: TransactionKey,
    /// SHA-256 of what it asks for, hex.
    pub csr_sha256: String,
}

/// What a binding wants looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApproval {
    /// Its id.
    pub id: Uuid,
    /// The binding that asked to wait.
    pub binding: String,
    /// Its reason, for machines.
    pub code: String,
    /// Its reason, for persons.
    pub message: String,
    /// The decision in which it asked.
    pub decision_id: String,
}

/// An approval on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What is to be looked at, and why.
    pub asked: NewApproval,
    /// What it is about.
    pub subject: ApprovalSubject,
    /// Where it stands.
    pub state: ApprovalState,
    /// When it was asked for.
    pub created_at: SystemTime,
    /// When it ends by itself.
    pub expires_at: SystemTime,
    /// When it was answered.
    pub decided_at: Option<SystemTime>,
    /// Who answered.
    pub decided_by: Option<String>,
    /// What they said.
    pub note: Option<String>,
    /// When the answer was used.
    pub used_at: Option<SystemTime>,
}

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalAnswer<'a> {
    /// Yes or no.
    pub approved: bool,
    /// Who says so.
    pub by: &'a str,
    /// A note, or the reason of a no.
    pub note: Option<&'a str>,
}

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

/// What became of [`Store::answer_approval`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerOutcome {
    /// It is answered.
    Answered(Box<Approval>),
    /// It was used, or has expired; nothing changed.
    Over(Box<Approval>),
    /// There is no such approval.
    Unknown,
}

impl Store {
    /// The same store, whose next use case uses these approvals up, in its own transaction: [`Store::issue`],
    /// [`Store::identify_session`], [`Store::deny_transaction`].
    #[must_use]
    pub fn using(&self, approvals: Vec<Uuid>, now: SystemTime) -> Self {
        let mut store = self.clone();
        store.uses = Some((approvals, now));
        store
    }

    /// Records what is to be looked at before an enrollment goes on, and writes the decision's record with it. A binding that has
    /// asked about this subject and was not answered, or whose answer was not used, is not recorded again.
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

    /// The approvals about a subject that stand: neither used nor expired, in the order in which they were asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn standing_approvals(
        &self,
        subject: &ApprovalSubject,
        now: SystemTime,
    ) -> Result<Vec<Approval>, StoreError> {
        standing(&self.reader, subject, now).await
    }

    /// Answers an approval, or changes an answer that was not used yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn answer_approval(
        &self,
        id: Uuid,
        answer: ApprovalAnswer<'_>,
        now: SystemTime,
    ) -> Result<AnswerOutcome, StoreError> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(id.to_string()).lock_exclusive();
        let Some(row) = row.one(&tx).await? else {
            return Ok(AnswerOutcome::Unknown);
        };
        let known = Approval::try_from(row.clone())?;
        let ended = known.state == ApprovalState::Expired || now >= known.expires_at;
        if ended || known.used_at.is_some() {
            return Ok(AnswerOutcome::Over(Box::new(known)));
        }
        let state = if answer.approved {
            ApprovalState::Approved
        } else {
            ApprovalState::Denied
        };
        let row = Model {
            state: state.as_str().to_owned(),
            decided_at: Some(to_millis(now)),
            decided_by: Some(answer.by.to_owned()),
            note: answer.note.map(str::to_owned),
            ..row
        };
        Entity::update(row.clone().into_active_model().reset_all())
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(AnswerOutcome::Answered(Box::new(row.try_into()?)))
    }

    /// Approvals, latest first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)): of one state or all.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn list_approvals(
        &self,
        state: Option<ApprovalState>,
        limit: u64,
    ) -> Result<Vec<Approval>, StoreError> {
        let mut query = Entity::find();
        if let Some(state) = state {
            query = query.filter(Column::State.eq(state.as_str()));
        }
        let rows = query
            .order_by_desc(Column::CreatedAt)
            .limit(page(limit))
            .all(&self.reader)
            .await?;
        rows.into_iter().map(Approval::try_from).collect()
    }

    /// An approval by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn find_approval(&self, id: Uuid) -> Result<Option<Approval>, StoreError> {
        let row = Entity::find_by_id(id.to_string()).one(&self.reader).await?;
        row.map(Approval::try_from).transpose()
    }

    /// Marks approvals whose week is over as expired, and forgets at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)) of those that ended
    /// 90 days ago; how many of both.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn expire_approvals(&self, now: SystemTime, limit: u64) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        let expired = expire(
            &tx,
            Condition::all().add(Column::ExpiresAt.lte(to_millis(now))),
        )
        .await?;
        let old: Vec<String> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::ExpiresAt.lt(to_millis(now - KEPT)))
            .limit(page(limit))
            .into_tuple()
            .all(&tx)
            .await?;
        let forgotten = Entity::delete_many()
            .filter(Column::Id.is_in(old))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(expired + forgotten.rows_affected)
    }

    /// Uses up what the use case was to use; whether all of it was there to be used.
    pub(crate) async fn use_approvals(&self, tx: &DatabaseTransaction) -> Result<bool, StoreError> {
        let Some((approvals, now)) = &self.uses else {
            return Ok(true);
        };
        let ids = approvals.iter().map(Uuid::to_string);
        let used = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(to_millis(*now)))
            .filter(Column::Id.is_in(ids))
            .filter(Column::State.is_in([
                ApprovalState::Approved.as_str(),
                ApprovalState::Denied.as_str(),
            ]))
            .filter(Column::UsedAt.is_null())
            .filter(Column::ExpiresAt.gt(to_millis(*now)))
            .exec(tx)
            .await?;
        Ok(used.rows_affected == approvals.len() as u64)
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
    let known = |new: &&NewApproval| standing.iter().all(|old| old.asked.binding != new.binding);
    let new: Vec<&NewApproval> = asked.iter().filter(known).collect();
    if new.is_empty() {
        return Ok(AskOutcome::Waiting);
    }
    let pending = || {
        Entity::find()
            .filter(Column::State.eq(ApprovalState::Pending.as_str()))
            .filter(Column::ExpiresAt.gt(to_millis(now)))
    };
    let of_person = pending()
        .filter(Column::Directory.eq(&subject.directory))
        .filter(Column::PersonId.eq(&subject.person_id));
    let more = new.len() as u64;
    if of_person.count(tx).await? + more > MOST_PENDING_OF_A_PERSON {
        return Ok(AskOutcome::TooMany(TooManyPending::OfPerson));
    }
    if pending().count(tx).await? + more > MOST_PENDING {
        return Ok(AskOutcome::TooMany(TooManyPending::InAll));
    }
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

async fn expire(tx: &DatabaseTransaction, which: Condition) -> Result<u64, StoreError> {
    let open = [
        ApprovalState::Pending.as_str(),
        ApprovalState::Approved.as_str(),
    ];
    let expired = Entity::update_many()
        .col_expr(Column::State, Expr::value(ApprovalState::Expired.as_str()))
        .filter(which)
        .filter(Column::State.is_in(open))
        .filter(Column::UsedAt.is_null())
        .exec(tx)
        .await?;
    Ok(expired.rows_affected)
}

async fn standing(
    db: &impl ConnectionTrait,
    subject: &ApprovalSubject,
    now: SystemTime,
) -> Result<Vec<Approval>, StoreError> {
    let request = match &subject.request {
        Some(request) => {
            of_transaction(&request.transaction).add(Column::CsrSha256.eq(&request.csr_sha256))
        }
        None => Condition::all().add(Column::Endpoint.is_null()),
    };
    let rows = Entity::find()
        .filter(Column::Directory.eq(&subject.directory))
        .filter(Column::PersonId.eq(&subject.person_id))
        .filter(Column::Udid.eq(&subject.udid))
        .filter(request)
        .filter(Column::State.ne(ApprovalState::Expired.as_str()))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(to_millis(now)))
        .order_by_asc(Column::CreatedAt)
        .all(db)
        .await?;
    rows.into_iter().map(Approval::try_from).collect()
}

fn of_transaction(key: &TransactionKey) -> Condition {
    Condition::all()
        .add(Column::Endpoint.eq(&key.endpoint))
        .add(Column::TransactionId.eq(&key.transaction_id))
        .add(Column::SignerSpki.eq(&key.signer_spki))
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
        state: ApprovalState::Pending.as_str().to_owned(),
        created_at: to_millis(now),
        expires_at: to_millis(now + APPROVAL_STANDS),
        decided_at: None,
        decided_by: None,
        note: None,
        used_at: None,
    }
}

impl TryFrom<Model> for Approval {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let id = Uuid::parse_str(&row.id).map_err(|_| StoreError::Damaged {
            table: "approval",
            what: format!("id {:?} is not a UUID", row.id),
        })?;
        let key = (row.endpoint, row.transaction_id, row.signer_spki);
        let request = match (key, row.csr_sha256) {
            ((Some(endpoint), Some(transaction_id), Some(signer_spki)), Some(csr_sha256)) => {
                Some(RequestKey {
                    transaction: TransactionKey {
                        endpoint,
                        transaction_id,
                        signer_spki,
                    },
                    csr_sha256,
                })
            }
            _ => None,
        };
        Ok(Self {
            asked: NewApproval {
                id,
                binding: row.binding,
                code: row.code,
                message: row.message,
                decision_id: row.decision_id,
            },
            subject: ApprovalSubject {
                directory: row.directory,
                person_id: row.person_id,
                udid: row.udid,
                request,
            },
            state: ApprovalState::read(&row.state)?,
            created_at: from_millis(row.created_at),
            expires_at: from_millis(row.expires_at),
            decided_at: row.decided_at.map(from_millis),
            decided_by: row.decided_by,
            note: row.note,
            used_at: row.used_at.map(from_millis),
        })
    }
}
