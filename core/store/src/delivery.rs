//! What happens to a queued command: it is sent, answered, cancelled or cleared.

use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter,
    QuerySelect,
};

use crate::commands::{CommandState, is_open, secret};
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

/// A device's answer to a command.
#[derive(Clone, Copy)]
pub struct CommandAnswer<'a> {
    /// CommandUUID.
    pub uuid: &'a str,
    /// `Status`.
    pub status: CommandStatus,
    /// The whole answer as it came. It is sealed.
    pub result: &'a [u8],
    /// A short text for people, already free of secrets.
    pub error: Option<&'a str>,
    /// When the command was sent, if that was not [noted](Store::note_sent) yet.
    pub sent_at: Option<SystemTime>,
}

/// A command was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentNote {
    /// The channel that it is for.
    pub enrollment_id: String,
    /// CommandUUID.
    pub uuid: String,
    /// When.
    pub at: SystemTime,
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
    /// Takes a command for its device, before it is sent: from then on it cannot be cancelled. `false` if it is done, cancelled or
    /// cleared, and must not be sent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: claim command", level = "debug", skip_all)]
    pub async fn claim_command(
        &self,
        enrollment_id: &str,
        uuid: &str,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let change = ActiveModel {
            state: Set(CommandState::Sent.as_str().to_owned()),
            sent_at: Set(Some(to_millis(now))),
            ..ActiveModel::default()
        };
        let claimed = Entity::update_many()
            .set(change)
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(Column::Uuid.eq(uuid))
            .filter(is_open())
            .exec(self.writer()?)
            .await?;
        Ok(claimed.rows_affected > 0)
    }

    /// Notes which commands were sent. One that is done, cancelled or cleared by now stays so.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: note sent", level = "debug", skip_all)]
    pub async fn note_sent(&self, sent: &[SentNote]) -> Result<(), StoreError> {
        // In one order, so that two nodes do not wait for each other.
        let mut sent: Vec<_> = sent.iter().collect();
        sent.sort_by_key(|note| (&note.enrollment_id, &note.uuid, note.at));
        // What was put off may have been so after it was sent, and stays so.
        let unanswered = [CommandState::Queued, CommandState::Sent].map(CommandState::as_str);
        let tx = self.begin().await?;
        for note in sent {
            let change = ActiveModel {
                state: Set(CommandState::Sent.as_str().to_owned()),
                sent_at: Set(Some(to_millis(note.at))),
                ..ActiveModel::default()
            };
            Entity::update_many()
                .set(change)
                .filter(Column::EnrollmentId.eq(&note.enrollment_id))
                .filter(Column::Uuid.eq(&note.uuid))
                .filter(Column::State.is_in(unanswered))
                .exec(&tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Stores what a device answered. The first final answer stands: devices repeat themselves until they hear a 200.
    /// Result and error of final answers are kept; NotNow is counted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: settle", level = "debug", skip_all)]
    pub async fn settle(
        &self,
        enrollment_id: &str,
        answer: CommandAnswer<'_>,
        now: SystemTime,
    ) -> Result<Settled, StoreError> {
        let CommandAnswer {
            uuid,
            status,
            result,
            error,
            sent_at,
        } = answer;
        let state = match status {
            CommandStatus::Acknowledged => CommandState::Acknowledged,
            CommandStatus::Error => CommandState::Error,
            CommandStatus::CommandFormatError => CommandState::FormatError,
            CommandStatus::NotNow => CommandState::NotNow,
        };
        let mut answerable = CommandState::OPEN.to_vec();
        if status != CommandStatus::NotNow {
            // It was on its way when it was cancelled: what became of it is what the device says.
            answerable.push(CommandState::Cancelled.as_str());
        }
        let mut update = Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(Column::Uuid.eq(uuid))
            .filter(Column::State.is_in(answerable));
        if let Some(sent_at) = sent_at {
            update = update.col_expr(Column::SentAt, Expr::value(to_millis(sent_at)));
        }
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
        let is_told = status != CommandStatus::NotNow && !self.notes.is_empty();
        let recorded = if is_told {
            let tx = self.begin().await?;
            let recorded = update.exec(&tx).await?.rows_affected > 0;
            if recorded {
                self.note(&tx, now).await?;
            }
            tx.commit().await?;
            recorded
        } else {
            update.exec(self.writer()?).await?.rows_affected > 0
        };
        if recorded {
            return Ok(Settled::Recorded);
        }
        let known = state_of(self.writer()?, enrollment_id, uuid).await?;
        Ok(known.map_or(Settled::Unknown, |_| Settled::Duplicate))
    }

    /// Takes back a command that the device does not have, as far as is known: one whose sending was not noted, or that it answered with
    /// NotNow. If the device had it all the same, its answer is [recorded](Self::settle).
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
        .filter(is_open())
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
