//! The event outbox: what happened, for those who asked to hear of it. It is written in the transaction of what happened, so that
//! no crash parts the two; a worker takes from it.

use std::time::SystemTime;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde_json::Value;
use uuid::Uuid;

use crate::entity::event_outbox::{ActiveModel, Column, Entity, Model};
use crate::instant::to_millis;
use crate::{Store, StoreError, page};

/// Something that is about to happen.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Chosen by the caller; stays the same however often the event is delivered.
    pub id: Uuid,
    /// Who is to hear of it.
    pub bindings: Vec<String>,
    /// What they are told. Nothing secret: it is not sealed.
    pub payload: Value,
}

/// An event that somebody is to hear of now.
#[derive(Debug, Clone, PartialEq)]
pub struct DueEvent {
    /// Its id.
    pub id: Uuid,
    /// Who is to hear of it.
    pub binding: String,
    /// What they are told.
    pub payload: Value,
    /// Attempts that failed.
    pub attempts: i32,
}

impl Store {
    /// The same store, whose next use case puts this event, too, into the outbox if it changes something, in its own transaction:
    /// [`Store::issue`], [`Store::token_update`] (the first one), [`Store::check_out`], [`Store::settle`] (a final answer),
    /// [`Store::note_standing`] (a person is no longer active) and [`Store::take_tick`].
    #[must_use]
    pub fn noting(&self, event: NewEvent) -> Self {
        let mut store = self.clone();
        store.notes.push(event);
        store
    }

    /// The bindings that events are due for, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn bindings_due(&self, now: SystemTime) -> Result<Vec<String>, StoreError> {
        let bindings = Entity::find()
            .select_only()
            .column(Column::Binding)
            .distinct()
            .filter(Column::DueAt.lte(to_millis(now)))
            .order_by_asc(Column::Binding)
            .into_tuple()
            .all(&self.reader)
            .await?;
        Ok(bindings)
    }

    /// The events that are due for a binding, the longest due first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn due_events(
        &self,
        binding: &str,
        now: SystemTime,
        limit: u64,
    ) -> Result<Vec<DueEvent>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Binding.eq(binding))
            .filter(Column::DueAt.lte(to_millis(now)))
            .order_by_asc(Column::DueAt)
            .limit(page(limit))
            .all(&self.reader)
            .await?;
        rows.into_iter().map(DueEvent::try_from).collect()
    }

    /// An event was heard.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn event_heard(&self, event: &DueEvent) -> Result<(), StoreError> {
        Entity::delete_by_id((event.id.to_string(), event.binding.clone()))
            .exec(self.writer()?)
            .await?;
        Ok(())
    }

    /// An event was not heard: it is delivered again at `due`, or given up and kept for an operator to see if that is `None`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn event_not_heard(
        &self,
        event: &DueEvent,
        due: Option<SystemTime>,
        error: &str,
    ) -> Result<(), StoreError> {
        let change = ActiveModel {
            due_at: Set(due.map(to_millis)),
            attempts: Set(event.attempts.saturating_add(1)),
            last_error: Set(Some(error.to_owned())),
            ..ActiveModel::default()
        };
        Entity::update_many()
            .set(change)
            .filter(Column::Id.eq(event.id.to_string()))
            .filter(Column::Binding.eq(&event.binding))
            .exec(self.writer()?)
            .await?;
        Ok(())
    }

    /// Puts the events into the outbox that this store was told to note.
    pub(crate) async fn note(
        &self,
        tx: &DatabaseTransaction,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        for event in &self.notes {
            for binding in &event.bindings {
                let row = Model {
                    id: event.id.to_string(),
                    binding: binding.clone(),
                    payload: event.payload.clone(),
                    created_at: to_millis(now),
                    due_at: Some(to_millis(now)),
                    attempts: 0,
                    last_error: None,
                };
                Entity::insert(row.into_active_model())
                    .exec_without_returning(tx)
                    .await?;
            }
        }
        Ok(())
    }
}

impl TryFrom<Model> for DueEvent {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: Uuid::parse_str(&row.id).map_err(|_| StoreError::Damaged {
                table: "event_outbox",
                what: format!("event id {:?} is not a UUID", row.id),
            })?,
            binding: row.binding,
            payload: row.payload,
            attempts: row.attempts,
        })
    }
}
