//! When the schedules of event bindings are due: kept, so that a restart neither repeats a tick nor forgets one.

use std::time::SystemTime;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::OnConflict,
};

use crate::entity::event_schedule::{ActiveModel, Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::{Store, StoreError};

/// A binding's schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The event binding.
    pub binding: String,
    /// The schedule, as the binding writes it.
    pub schedule: String,
    /// When it is due next.
    pub due: SystemTime,
}

impl Store {
    /// The schedules on record: as many as there were bindings with one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn schedules(&self) -> Result<Vec<Scheduled>, StoreError> {
        let rows = Entity::find().all(&self.reader).await?;
        let scheduled = |row: Model| Scheduled {
            binding: row.binding,
            schedule: row.schedule,
            due: from_millis(row.due_at),
        };
        Ok(rows.into_iter().map(scheduled).collect())
    }

    /// Puts a binding's schedule on record, in place of the one that it had.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn put_schedule(&self, scheduled: &Scheduled) -> Result<(), StoreError> {
        let row = Model {
            binding: scheduled.binding.clone(),
            schedule: scheduled.schedule.clone(),
            due_at: to_millis(scheduled.due),
        };
        Entity::insert(row.into_active_model())
            .on_conflict(
                OnConflict::column(Column::Binding)
                    .update_columns([Column::Schedule, Column::DueAt])
                    .to_owned(),
            )
            .exec_without_returning(self.writer()?)
            .await?;
        Ok(())
    }

    /// The binding has no schedule any more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_schedule(&self, binding: &str) -> Result<(), StoreError> {
        Entity::delete_by_id(binding.to_owned())
            .exec(self.writer()?)
            .await?;
        Ok(())
    }

    /// Moves a schedule on to its next time, and in the same transaction puts what the store was [told to note](Store::noting) into the
    /// outbox. `false`, and nothing is done, if it is not due as `scheduled` says any more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn take_tick(
        &self,
        scheduled: &Scheduled,
        next: SystemTime,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let change = ActiveModel {
            due_at: Set(to_millis(next)),
            ..ActiveModel::default()
        };
        let moved = Entity::update_many()
            .set(change)
            .filter(Column::Binding.eq(&scheduled.binding))
            .filter(Column::Schedule.eq(&scheduled.schedule))
            .filter(Column::DueAt.eq(to_millis(scheduled.due)))
            .exec(&tx)
            .await?;
        if moved.rows_affected == 0 {
            return Ok(false);
        }
        self.note(&tx, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
