//! The push outbox: who is to be woken, and when. Use cases put into it in their own transactions, so that no crash parts a
//! command from its push; a worker takes from it.

use std::time::SystemTime;

use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::enrollments::{EnrollmentState, PushTarget};
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
    /// Since when it is due.
    pub due_at: SystemTime,
    /// Where it goes; `None` when the channel cannot be woken, so that the push is to be given up.
    pub target: Option<PushTarget>,
}

/// What became of a push's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRecorded {
    /// Stored.
    Recorded,
    /// Another push was requested (or this one withdrawn) meanwhile, and stands as it was.
    Superseded,
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
    /// The pushes that are due, the longest due first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn due_pushes(
        &self,
        now: SystemTime,
        limit: u64,
    ) -> Result<Vec<DuePush>, StoreError> {
        let rows = Entity::find()
            .filter(Column::DueAt.lte(to_millis(now)))
            .order_by_asc(Column::DueAt)
            .limit(page(limit))
            .find_also_related(enrollment::Entity)
            .all(&self.reader)
            .await?;
        rows.into_iter()
            .map(|(row, enrollment)| {
                let target = match enrollment {
                    Some(enrollment) => self.read_push_target(&enrollment)?,
                    None => None,
                };
                Ok(DuePush {
                    due_at: from_millis(row.due_at.unwrap_or_default()),
                    enrollment_id: row.enrollment_id,
                    generation: row.generation,
                    attempts: row.attempts,
                    target,
                })
            })
            .collect()
    }

    /// A push is over, well or for good: notes what APNs answered, and that nothing is due any more, unless another push
    /// was requested meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn pushed(
        &self,
        enrollment_id: &str,
        generation: i64,
        result: &str,
        now: SystemTime,
    ) -> Result<PushRecorded, StoreError> {
        let tx = self.begin().await?;
        let done = ActiveModel {
            due_at: Set(None),
            attempts: Set(0),
            last_error: Set(None),
            ..ActiveModel::default()
        };
        note_result(&tx, enrollment_id, result, now).await?;
        let recorded = change(&tx, enrollment_id, generation, done).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    /// A push failed and is to be tried again at `due`, unless another push was requested meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn retry_push_at(
        &self,
        push: &DuePush,
        due: SystemTime,
        error: &str,
        now: SystemTime,
    ) -> Result<PushRecorded, StoreError> {
        let tx = self.begin().await?;
        let again = ActiveModel {
            due_at: Set(Some(to_millis(due))),
            attempts: Set(push.attempts.saturating_add(1)),
            last_error: Set(Some(error.to_owned())),
            ..ActiveModel::default()
        };
        note_result(&tx, &push.enrollment_id, error, now).await?;
        let recorded = change(&tx, &push.enrollment_id, push.generation, again).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    /// Requests a push at `due`, beside those that use cases request themselves.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
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

async fn change(
    tx: &DatabaseTransaction,
    enrollment_id: &str,
    generation: i64,
    change: ActiveModel,
) -> Result<PushRecorded, StoreError> {
    let result = Entity::update_many()
        .set(change)
        .filter(Column::EnrollmentId.eq(enrollment_id))
        .filter(Column::Generation.eq(generation))
        .exec(tx)
        .await?;
    Ok(if result.rows_affected > 0 {
        PushRecorded::Recorded
    } else {
        PushRecorded::Superseded
    })
}

async fn note_result(
    tx: &DatabaseTransaction,
    enrollment_id: &str,
    result: &str,
    now: SystemTime,
) -> Result<(), StoreError> {
    use enrollment::Column;
    enrollment::Entity::update_many()
        .col_expr(Column::LastPushAt, Expr::value(to_millis(now)))
        .col_expr(Column::LastPushResult, Expr::value(result))
        .filter(Column::Id.eq(enrollment_id))
        .exec(tx)
        .await?;
    Ok(())
}
