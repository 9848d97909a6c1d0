//! What became of pushes.

use std::collections::HashMap;
use std::time::SystemTime;

use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter};

use crate::commands::is_open;
use crate::enrollments;
use crate::entity::push_outbox::{Column, Entity};
use crate::entity::{command, enrollment};
use crate::instant::to_millis;
use crate::{Store, StoreError};

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcome {
    /// [`DuePush::enrollment_id`](crate::DuePush::enrollment_id).
    pub enrollment_id: String,
    /// [`DuePush::generation`](crate::DuePush::generation).
    pub generation: i64,
    /// What APNs answered, or why it was not asked: a short text for people. `None` leaves what the push before came to.
    pub result: Option<String>,
    /// What is due next.
    pub next: NextPush,
}

/// What is due after a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextPush {
    /// Nothing.
    Nothing,
    /// APNs accepted it. Another one then, if by now the device has something to do, and nothing is requested meanwhile.
    Reminder(SystemTime),
    /// It failed, and is tried again then; not before, even if another one is requested meanwhile.
    Again(SystemTime),
    /// It was not tried for a reason that lies not with the device, and is tried then, or when another one is requested.
    PutOff(SystemTime),
    /// The token is dead: nothing, until the device sends another.
    TokenDead,
}

impl Store {
    /// Notes what became of pushes, and what is due next. Where another push was requested (or this one withdrawn) meanwhile, that
    /// stands. How many of them counted.
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
        let mut nexts: HashMap<_, Vec<&str>> = HashMap::new();
        for outcome in outcomes {
            let id = outcome.enrollment_id.as_str();
            let result = outcome.result.as_deref();
            if let Some(result) = result {
                results.entry(result).or_default().push(id);
            }
            let next = (outcome.generation, outcome.next, result);
            nexts.entry(next).or_default().push(id);
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
        for ((generation, next, result), ids) in nexts {
            let which = Condition::all()
                .add(Column::EnrollmentId.is_in(ids))
                .add(Column::Generation.eq(generation));
            if next == NextPush::TokenDead {
                note_dead(&tx, which.clone(), now).await?;
            }
            counted += finish(&tx, which, next, result).await?;
        }
        tx.commit().await?;
        Ok(counted)
    }
}

/// Whether the enrollment of an outbox row has a command that is yet to be done.
pub(super) fn has_work() -> Expr {
    let open = Query::select()
        .expr(Expr::value(1))
        .from(command::Entity)
        .and_where(
            Expr::col((command::Entity, command::Column::EnrollmentId))
                .equals((Entity, Column::EnrollmentId)),
        )
        .and_where(is_open())
        .take();
    Expr::exists(open)
}

async fn finish(
    tx: &DatabaseTransaction,
    which: Condition,
    next: NextPush,
    result: Option<&str>,
) -> Result<u64, StoreError> {
    let at = |time: SystemTime| Expr::value(to_millis(time));
    let due = match next {
        NextPush::Nothing | NextPush::TokenDead => Expr::value(None::<i64>),
        NextPush::Again(due) | NextPush::PutOff(due) => at(due),
        NextPush::Reminder(due) => CaseStatement::new()
            .case(has_work(), at(due))
            .finally(Expr::value(None::<i64>))
            .into(),
    };
    let mut update = Entity::update_many().col_expr(Column::DueAt, due);
    update = match next {
        NextPush::Again(due) => update
            .col_expr(Column::NotBefore, at(due))
            .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1)),
        NextPush::PutOff(_) => update,
        NextPush::Reminder(_) => update
            .col_expr(Column::Reminders, Expr::col(Column::Reminders).add(1))
            .col_expr(Column::Attempts, Expr::value(0)),
        NextPush::Nothing | NextPush::TokenDead => {
            update.col_expr(Column::Attempts, Expr::value(0))
        }
    };
    let error = match next {
        NextPush::Again(_) | NextPush::PutOff(_) => result,
        _ => None,
    };
    let result = update
        .col_expr(Column::LastError, Expr::value(error))
        .filter(which)
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

/// A token that was replaced meanwhile is another: its TokenUpdate requested a push, and so `which` leaves it out.
async fn note_dead(
    tx: &DatabaseTransaction,
    which: Condition,
    now: SystemTime,
) -> Result<(), StoreError> {
    let pushed = Query::select()
        .column(Column::EnrollmentId)
        .from(Entity)
        .cond_where(which)
        .take();
    enrollment::Entity::update_many()
        .col_expr(enrollment::Column::TokenDeadAt, Expr::value(to_millis(now)))
        .filter(enrollment::Column::Id.in_subquery(pushed))
        .exec(tx)
        .await?;
    Ok(())
}
