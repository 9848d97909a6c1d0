//! The push outbox: who is to be woken, and when. Use cases put into it in their own transactions, so that no crash parts a
//! command from its push; a worker takes from it.

use std::collections::HashMap;
use std::time::SystemTime;

use sea_orm::sea_query::{
    CaseStatement, Expr, ExprTrait, LockBehavior, LockType, OnConflict, Order, Query,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};

use crate::enrollments::{self, EnrollmentState, PushTarget};
use crate::entity::enrollment;
use crate::entity::push_outbox::{ActiveModel, Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::{Store, StoreError, page};

/// A push that is due.
#[derive(Debug)]
pub struct DuePush {
    /// The channel to wake.
    pub enrollment_id: String,
    /// Which request this is; hand it back with the outcome.
    pub generation: i64,
    /// Attempts that failed since it was requested.
    pub attempts: i32,
    /// Where it goes; `None` when the channel cannot be woken, so that the push is to be given up.
    pub target: Option<PushTarget>,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcome {
    /// [`DuePush::enrollment_id`].
    pub enrollment_id: String,
    /// [`DuePush::generation`].
    pub generation: i64,
    /// What APNs answered, or why it was not asked: a short text for people.
    pub result: String,
    /// When it is to be tried again; `None` if it is over, well or for good.
    pub again: Option<SystemTime>,
}

/// What became of [`Store::schedule_push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleOutcome {
    /// A push is due then, or earlier if one was due earlier.
    Scheduled,
    /// The channel left no tokens, or checked out.
    NotReachable,
    /// There is no such enrollment.
    UnknownEnrollment,
}

impl Store {
    /// When an enrollment is to be woken next, if it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn push_due(&self, enrollment_id: &str) -> Result<Option<SystemTime>, StoreError> {
        let row = Entity::find_by_id(enrollment_id.to_owned())
            .one(&self.reader)
            .await?;
        Ok(row.and_then(|row| row.due_at).map(from_millis))
    }

    /// Takes pushes that are due, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)): no other node gets them before `until`, when they
    /// are due again unless their outcome was [recorded](Self::record_pushes). A push that is requested meanwhile is due as ever.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: take pushes", level = "debug", skip_all)]
    pub async fn take_pushes(
        &self,
        now: SystemTime,
        until: SystemTime,
        limit: u64,
    ) -> Result<Vec<DuePush>, StoreError> {
        let due = Query::select()
            .column(Column::EnrollmentId)
            .from(Entity)
            .and_where(Column::DueAt.lte(to_millis(now)))
            .order_by(Column::DueAt, Order::Asc)
            .limit(page(limit))
            // What another node is taking is not waited for.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let taken = Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(to_millis(until)))
            .filter(Column::EnrollmentId.in_subquery(due))
            .exec_with_returning(self.writer()?)
            .await?;
        let ids = taken.iter().map(|row| row.enrollment_id.as_str());
        let enrollments = enrollment::Entity::find()
            .filter(enrollment::Column::Id.is_in(ids))
            .all(&self.reader)
            .await?;
        let mut targets = HashMap::with_capacity(taken.len());
        for row in &enrollments {
            targets.insert(row.id.as_str(), self.read_push_target(row)?);
        }
        let due = |row: Model| DuePush {
            target: targets.remove(row.enrollment_id.as_str()).flatten(),
            enrollment_id: row.enrollment_id,
            generation: row.generation,
            attempts: row.attempts,
        };
        Ok(taken.into_iter().map(due).collect())
    }

    /// Notes what became of pushes, and that nothing is due for them any more, or when again. Where another push was requested (or
    /// this one withdrawn) meanwhile, that stands. How many of them counted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: record pushes", level = "debug", skip_all)]
    pub async fn record_pushes(
        &self,
        outcomes: &[PushOutcome],
        now: SystemTime,
    ) -> Result<u64, StoreError> {
        // Most have the same outcome, and so few statements are enough.
        let mut results: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut dues: HashMap<_, Vec<&str>> = HashMap::new();
        for outcome in outcomes {
            let id = outcome.enrollment_id.as_str();
            results.entry(&outcome.result).or_default().push(id);
            let error = outcome.again.map(|again| (again, outcome.result.as_str()));
            let due = dues.entry((outcome.generation, error)).or_default();
            due.push(id);
        }
        let tx = self.begin().await?;
        let ids = outcomes
            .iter()
            .map(|outcome| outcome.enrollment_id.as_str());
        enrollments::lock_all(&tx, ids).await?;
        for (result, ids) in results {
            note_result(&tx, ids, result, now).await?;
        }
        let mut counted = 0;
        for ((generation, error), ids) in dues {
            counted += finish(&tx, ids, generation, error).await?;
        }
        tx.commit().await?;
        Ok(counted)
    }

    /// Requests a push at `due`, beside those that use cases request themselves.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: schedule push", level = "debug", skip_all)]
    pub async fn schedule_push(
        &self,
        enrollment_id: &str,
        due: SystemTime,
    ) -> Result<ScheduleOutcome, StoreError> {
        let tx = self.begin().await?;
        let row = enrollment::Entity::find_by_id(enrollment_id.to_owned())
            .lock_exclusive()
            .one(&tx)
            .await?;
        match row
            .map(|row| EnrollmentState::read(&row.state))
            .transpose()?
        {
            None => return Ok(ScheduleOutcome::UnknownEnrollment),
            Some(EnrollmentState::Enrolled) => request(&tx, enrollment_id, due).await?,
            Some(_) => return Ok(ScheduleOutcome::NotReachable),
        }
        tx.commit().await?;
        Ok(ScheduleOutcome::Scheduled)
    }
}

/// Requests a push inside a use case's transaction. It counts as a new request even if one is due: that one may be under way
/// with what the device had fetched before.
pub(crate) async fn request(
    tx: &DatabaseTransaction,
    enrollment_id: &str,
    due: SystemTime,
) -> Result<(), StoreError> {
    let due = to_millis(due);
    let row = Model {
        enrollment_id: enrollment_id.to_owned(),
        due_at: Some(due),
        attempts: 0,
        generation: 1,
        last_error: None,
    };
    let stored = |column: Column| Expr::col((Entity, column));
    let earlier = CaseStatement::new()
        .case(stored(Column::DueAt).lt(due), stored(Column::DueAt))
        .finally(due);
    let mut merge = OnConflict::column(Column::EnrollmentId);
    merge
        .value(Column::DueAt, earlier)
        .value(Column::Generation, stored(Column::Generation).add(1))
        .update_column(Column::Attempts);
    Entity::insert(row.into_active_model())
        .on_conflict(merge)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Takes back what is due for these enrollments; a push that is under way no longer counts.
pub(crate) async fn withdraw(
    tx: &DatabaseTransaction,
    enrollment_ids: &[String],
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::DueAt, Expr::value(None::<i64>))
        .col_expr(Column::Generation, Expr::col(Column::Generation).add(1))
        .filter(Column::EnrollmentId.is_in(enrollment_ids))
        .exec(tx)
        .await?;
    Ok(())
}

/// Nothing is due any more, or, after an error, later.
async fn finish(
    tx: &DatabaseTransaction,
    enrollment_ids: Vec<&str>,
    generation: i64,
    error: Option<(SystemTime, &str)>,
) -> Result<u64, StoreError> {
    let attempts = if error.is_some() {
        Expr::col(Column::Attempts).add(1)
    } else {
        Expr::value(0)
    };
    let result = Entity::update_many()
        .set(ActiveModel {
            due_at: Set(error.map(|(again, _)| to_millis(again))),
            last_error: Set(error.map(|(_, text)| text.to_owned())),
            ..ActiveModel::default()
        })
        .col_expr(Column::Attempts, attempts)
        .filter(Column::EnrollmentId.is_in(enrollment_ids))
        .filter(Column::Generation.eq(generation))
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
}

async fn note_result(
    tx: &DatabaseTransaction,
    enrollment_ids: Vec<&str>,
    result: &str,
    now: SystemTime,
) -> Result<(), StoreError> {
    use enrollment::Column;
    enrollment::Entity::update_many()
        .col_expr(Column::LastPushAt, Expr::value(to_millis(now)))
        .col_expr(Column::LastPushResult, Expr::value(result))
        .filter(Column::Id.is_in(enrollment_ids))
        .exec(tx)
        .await?;
    Ok(())
}
