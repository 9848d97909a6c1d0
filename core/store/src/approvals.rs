//! Approvals: what a hook wants a person to look at before an enrollment or a certificate goes on.
//!
//! One approval answers one question of one binding about one subject, once. It stands for a week from when it was asked for, answered
//! or not; until it is used, its answer may be changed. Another question of that binding about that subject takes its place.

mod answering;
mod asking;

use std::time::{Duration, SystemTime};

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde_json::Value;
use uuid::Uuid;

pub use answering::{AnswerOutcome, ApprovalAnswer};
pub use asking::{AskOutcome, TooManyPending};
pub(crate) use asking::{ask, supersede};

use crate::entity::approval::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::word::word_enum;
use crate::{MAX_PAGE, Store, StoreError, TransactionKey, page};

/// How long an approval stands, from when it was asked for.
pub const APPROVAL_STANDS: Duration = Duration::from_hours(7 * 24);

/// How long an approval is kept after it has ended, for whoever asks why.
const KEPT: Duration = Duration::from_hours(90 * 24);

word_enum! {
    /// Where an approval stands.
    pub enum ApprovalState in "approval" {
        /// Nobody has answered.
        Pending = "pending",
        /// The answer is yes.
        Approved = "approved",
        /// The answer is no.
        Denied = "denied",
        /// Its week was over before it was answered, or before a yes was used; or another question took its
        /// place, or another request.
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
    /// What there is to look at.
    pub shown: Shown,
}

impl NewApproval {
    /// Whether an answer to the one is an answer to the other: the binding wants the same looked at, for the same reason.
    #[must_use]
    pub fn is_same_question(&self, other: &Self) -> bool {
        let same_reason = (&self.binding, &self.code) == (&other.binding, &other.code);
        same_reason && self.shown.sha256 == other.shown.sha256
    }
}

/// The facts of a question, as whoever answers sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// All of them. Null of an approval from before they were kept.
    pub facts: Value,
    /// SHA-256, hex, of those that the answer is bound to. Empty of an approval from before they were kept, which answers nothing.
    pub sha256: String,
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

impl Store {
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

    /// The approvals about a device, its enrollment's and its certificates', that nobody has answered yet; the oldest first, at most
    /// [`MAX_PAGE`](crate::MAX_PAGE).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn pending_approvals(&self, udid: &str) -> Result<Vec<Approval>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Udid.eq(udid))
            .filter(Column::State.eq(ApprovalState::Pending.as_str()))
            .order_by_asc(Column::CreatedAt)
            .limit(MAX_PAGE)
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
                shown: Shown {
                    facts: row.facts.unwrap_or_default(),
                    sha256: row.facts_sha256.unwrap_or_default(),
                },
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
