//! How much work waits for any of the nodes.

use std::time::SystemTime;

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::entity::{event_outbox, push_outbox};
use crate::instant::to_millis;
use crate::{Store, StoreError};

/// What is due and not done, by outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Pushes.
    pub pushes: u64,
    /// Events, each counted for every binding that is to hear of it.
    pub events: u64,
}

impl Store {
    /// Counts what is due at `now`. Both counts go by an index over what is due, and cost as much as there is of it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn backlog(&self, now: SystemTime) -> Result<Backlog, StoreError> {
        let pushes = push_outbox::Entity::find()
            .filter(push_outbox::Column::DueAt.lte(to_millis(now)))
            .count(&self.reader)
            .await?;
        let events = event_outbox::Entity::find()
            .filter(event_outbox::Column::DueAt.lte(to_millis(now)))
            .count(&self.reader)
            .await?;
        Ok(Backlog { pushes, events })
    }
}
