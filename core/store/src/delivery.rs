//! What happens to a queued command: it is sent, answered, cancelled or cleared.

use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QuerySelect,
};

use crate::commands::{CommandState, secret};
use crate::entity::command::{ActiveModel, Column, Entity};
use crate::instant::to_millis;
use crate::{Store, StoreError};

/// What a device answers to a command (`Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandStatus {
    /// `Acknowledged`.
    Acknowledged,
    /// `Error`.
    Error,
    /// `CommandFormatError`.
    CommandFormatError,
    /// `NotNow`.
    NotNow,
}

/// What became of [`Store::mark_sent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentOutcome {
    /// Noted.
    Sent,
    /// The command is done, cancelled or cleared, or there is none; nothing changed. It must not be sent.
    Closed,
}

/// What became of [`Store::settle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The answer is stored.
    Recorded,
    /// The command was done, cancelled or cleared before; nothing changed.
    Duplicate,
    /// The enrollment has no such command; nothing changed.
    Unknown,
}

/// What became of [`Store::cancel_command`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It will not be sent.
    Cancelled,
    /// It was cancelled before.
    AlreadyCancelled,
    /// The device has it, or is done with it; nothing changed.
    AlreadyDelivered {
        /// Where it stands.
        state: CommandState,
    },
    /// The enrollment has no such command.
    Unknown,
}

impl Store {
    /// Notes that a command is being sent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: mark sent", level = "debug", skip_all)]
    pub async fn mark_sent(
        &self,
        enrollment_id: &str,
        uuid: &str,
        now: SystemTime,
    ) -> Result<SentOutcome, StoreError> {
        let change = ActiveModel {
            state: Set(CommandState::Sent.as_str().to_owned()),
            sent_at: Set(Some(to_millis(now))),
            ..ActiveModel::default()
        };
        let result = Entity::update_many()
            .set(change)
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(Column::Uuid.eq(uuid))
            .filter(Column::State.is_in(CommandState::OPEN))
            .exec(self.writer()?)
            .await?;
        Ok(if result.rows_affected > 0 {
            SentOutcome::Sent
        } else {
            SentOutcome::Closed
        })
    }

    /// Stores what a device answered. The first final answer stands: devices repeat themselves until they hear a 200.
    ///
    /// `result` is the whole answer as it came, sealed; `error` a short text for people, already free of secrets. Both are
    /// kept for final answers; NotNow is counted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: settle", level = "debug", skip_all)]
    pub async fn settle(
        &self,
        enrollment_id: &str,
        uuid: &str,
        status: CommandStatus,
        result: &[u8],
        error: Option<&str>,
        now: SystemTime,
    ) -> Result<Settled, StoreError> {
        let state = match status {
            CommandStatus::Acknowledged => CommandState::Acknowledged,
            CommandStatus::Error => CommandState::Error,
            CommandStatus::CommandFormatError => CommandState::FormatError,
            CommandStatus::NotNow => CommandState::NotNow,
        };
        let mut update = Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(Column::Uuid.eq(uuid))
            .filter(Column::State.is_in(CommandState::OPEN));
        update = if status == CommandStatus::NotNow {
            let first = Func::coalesce([Expr::col(Column::NotNowAt), Expr::val(to_millis(now))]);
            update
                .col_expr(Column::NotNowAt, first.into())
                .col_expr(Column::NotNowCount, Expr::col(Column::NotNowCount).add(1))
        } else {
            let key = [enrollment_id, uuid];
            update.set(ActiveModel {
                completed_at: Set(Some(to_millis(now))),
                result: Set(Some(self.seal(secret("result", &key), result))),
                error: Set(error.map(str::to_owned)),
                ..ActiveModel::default()
            })
        };
        let tx = self.begin().await?;
        let outcome = if update.exec(&tx).await?.rows_affected > 0 {
            if status != CommandStatus::NotNow {
                self.note(&tx, now).await?;
            }
            Settled::Recorded
        } else {
            match state_of(&tx, enrollment_id, uuid).await? {
                Some(_) => Settled::Duplicate,
                None => Settled::Unknown,
            }
        };
        tx.commit().await?;
        Ok(outcome)
    }

    /// Takes back a command that the device does not have: one that was never sent, or that it answered with NotNow.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn cancel_command(
        &self,
        enrollment_id: &str,
        uuid: &str,
        now: SystemTime,
    ) -> Result<CancelOutcome, StoreError> {
        let takeable = [CommandState::Queued, CommandState::NotNow].map(CommandState::as_str);
        let writer = self.writer()?;
        let result = Entity::update_many()
            .set(closed(CommandState::Cancelled, now))
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(Column::Uuid.eq(uuid))
            .filter(Column::State.is_in(takeable))
            .exec(writer)
            .await?;
        if result.rows_affected > 0 {
            return Ok(CancelOutcome::Cancelled);
        }
        Ok(match state_of(writer, enrollment_id, uuid).await? {
            Some(CommandState::Cancelled) => CancelOutcome::AlreadyCancelled,
            Some(state) => CancelOutcome::AlreadyDelivered { state },
            None => CancelOutcome::Unknown,
        })
    }
}

/// Closes whatever is yet to be done for these enrollments; how many commands.
pub(crate) async fn clear(
    tx: &DatabaseTransaction,
    enrollment_ids: &[String],
    now: SystemTime,
) -> Result<u64, StoreError> {
    let result = Entity::update_many()
        .set(closed(CommandState::Cleared, now))
        .filter(Column::EnrollmentId.is_in(enrollment_ids))
        .filter(Column::State.is_in(CommandState::OPEN))
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
}

fn closed(state: CommandState, now: SystemTime) -> ActiveModel {
    ActiveModel {
        state: Set(state.as_str().to_owned()),
        completed_at: Set(Some(to_millis(now))),
        ..ActiveModel::default()
    }
}

/// Reads through the writer: a reader may still see the moment before the update that was just tried.
async fn state_of(
    db: &impl ConnectionTrait,
    enrollment_id: &str,
    uuid: &str,
) -> Result<Option<CommandState>, StoreError> {
    let state: Option<String> = Entity::find_by_id((enrollment_id.to_owned(), uuid.to_owned()))
        .select_only()
        .column(Column::State)
        .into_tuple()
        .one(db)
        .await?;
    state.map(|state| CommandState::read(&state)).transpose()
}
