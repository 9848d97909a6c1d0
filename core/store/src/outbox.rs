//! The push outbox: who is to be woken, and when. Use cases put into it in their own transactions, so that no crash parts a
//! command from its push; a worker takes from it, and notes what became of each push (`outbox/outcomes`).

mod outcomes;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use sea_orm::sea_query::{
    CaseStatement, Expr, ExprTrait, LockBehavior, LockType, OnConflict, Order, Query,
};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};

use crate::enrollments::{EnrollmentState, PushTarget};
use crate::entity::enrollment;
use crate::entity::push_outbox::{Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::{Store, StoreError, page};

pub use outcomes::{NextPush, PushOutcome};

/// Requests gather for seconds. What is to last for longer than this was written by a clock that was ahead, and set back since.
const LONGEST_QUIET: Duration = Duration::from_hours(1);

/// A push that is due.
#[derive(Debug)]
pub struct DuePush {
    /// The channel to wake.
    pub enrollment_id: String,
    /// Which request this is; hand it back with the outcome.
    pub generation: i64,
    /// Attempts that failed since it was requested.
    pub attempts: u32,
    /// Pushes of this request that APNs accepted, and nothing came of.
    pub reminders: u32,
    /// Where it goes; `None` when the channel cannot be woken, or has nothing left to be reminded of, so that the push is to be given up.
    pub target: Option<PushTarget>,
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
    /// are due again unless their outcome was [recorded](Self::record_pushes). Pushes that are requested meanwhile are due at `quiet_until`
    /// at the earliest, together as one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: take pushes", level = "debug", skip_all)]
    pub async fn take_pushes(
        &self,
        now: SystemTime,
        until: SystemTime,
        quiet_until: SystemTime,
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
            .col_expr(Column::NotBefore, Expr::value(to_millis(quiet_until)))
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
        for done in self.done_since(&taken).await? {
            targets.remove(done.as_str());
        }
        let due = |row: Model| DuePush {
            target: targets.remove(row.enrollment_id.as_str()).flatten(),
            enrollment_id: row.enrollment_id,
            generation: row.generation,
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            reminders: u32::try_from(row.reminders).unwrap_or_default(),
        };
        Ok(taken.into_iter().map(due).collect())
    }

    /// Those who were to be reminded, and have nothing left to do.
    async fn done_since(&self, taken: &[Model]) -> Result<Vec<String>, StoreError> {
        let reminded = taken.iter().filter(|row| row.reminders > 0);
        let reminded: Vec<&str> = reminded.map(|row| row.enrollment_id.as_str()).collect();
        if reminded.is_empty() {
            return Ok(Vec::new());
        }
        Ok(Entity::find()
            .select_only()
            .column(Column::EnrollmentId)
            .filter(Column::EnrollmentId.is_in(reminded))
            .filter(outcomes::has_work().not())
            .into_tuple()
            .all(&self.reader)
            .await?)
    }

    /// When the next push is due, to whomever it goes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn next_push_due(&self) -> Result<Option<SystemTime>, StoreError> {
        let due: Option<Option<i64>> = Entity::find()
            .select_only()
            .column_as(Column::DueAt.min(), "due_at")
            .into_tuple()
            .one(&self.reader)
            .await?;
        Ok(due.flatten().map(from_millis))
    }

    /// Pushes to this topic that failed and wait to be tried again are due now: what stood in their way is gone. How many there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn hasten_pushes(&self, topic: &str, now: SystemTime) -> Result<u64, StoreError> {
        let of_topic = Query::select()
            .column(enrollment::Column::Id)
            .from(enrollment::Entity)
            .and_where(enrollment::Column::Topic.eq(topic))
            .take();
        let waiting = Query::select()
            .column(Column::EnrollmentId)
            .from(Entity)
            .and_where(Column::DueAt.gt(to_millis(now)))
            .and_where(Column::LastError.is_not_null())
            .and_where(Column::EnrollmentId.in_subquery(of_topic))
            // Whose outcome is being noted is not waited for, so that nobody waits for us meanwhile.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let hastened = Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(to_millis(now)))
            .col_expr(Column::NotBefore, Expr::value(None::<i64>))
            .filter(Column::EnrollmentId.in_subquery(waiting))
            .exec(self.writer()?)
            .await?;
        Ok(hastened.rows_affected)
    }

    /// Takes back that APNs called the token of this channel dead, so that pushes go to it once more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn try_token_again(&self, enrollment_id: &str) -> Result<(), StoreError> {
        enrollment::Entity::update_many()
            .col_expr(enrollment::Column::TokenDeadAt, Expr::value(None::<i64>))
            .filter(enrollment::Column::Id.eq(enrollment_id))
            .exec(self.writer()?)
            .await?;
        Ok(())
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
            Some(EnrollmentState::Enrolled) => request(&tx, [enrollment_id], due).await?,
            Some(_) => return Ok(ScheduleOutcome::NotReachable),
        }
        tx.commit().await?;
        Ok(ScheduleOutcome::Scheduled)
    }
}

/// Requests pushes inside a use case's transaction. Each counts as a new request even if one is due: that one may be under way
/// with what the device had fetched before. Until `not_before`, requests gather.
pub(crate) async fn request(
    tx: &DatabaseTransaction,
    enrollment_ids: impl IntoIterator<Item = &str>,
    due: SystemTime,
) -> Result<(), StoreError> {
    let plausible = to_millis(due + LONGEST_QUIET);
    let due = to_millis(due);
    let row = |enrollment_id: &str| {
        let row = Model {
            enrollment_id: enrollment_id.to_owned(),
            due_at: Some(due),
            attempts: 0,
            generation: 1,
            last_error: None,
            not_before: None,
            reminders: 0,
        };
        row.into_active_model()
    };
    let mut rows = enrollment_ids.into_iter().map(row).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let stored = |column: Column| Expr::col((Entity, column));
    let gathers = Condition::all()
        .add(stored(Column::NotBefore).gt(due))
        .add(stored(Column::NotBefore).lte(plausible));
    let when = CaseStatement::new()
        .case(stored(Column::DueAt).lt(due), stored(Column::DueAt))
        .case(gathers, stored(Column::NotBefore))
        .finally(due);
    let mut merge = OnConflict::column(Column::EnrollmentId);
    merge
        .value(Column::DueAt, when)
        .value(Column::Generation, stored(Column::Generation).add(1))
        .update_columns([Column::Attempts, Column::Reminders]);
    Entity::insert_many(rows)
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
