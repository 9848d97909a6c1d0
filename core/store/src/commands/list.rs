//! The commands of all devices, one page after another.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{CommandState, CommandSummary, SummaryColumns, read_summaries};
use crate::entity::command::{Column, Entity};
use crate::instant::{from_millis, to_millis};
use crate::{Store, StoreError, page};

/// Which commands are listed.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandFilter<'a> {
    /// Of one enrollment.
    pub enrollment_id: Option<&'a str>,
    /// Where they stand.
    pub state: Option<CommandState>,
    /// After this one in the list's order: the next page.
    pub after: Option<&'a CommandPlace>,
}

/// A command's place in the list of all. It stays one when the command is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandPlace {
    created_at: SystemTime,
    uuid: String,
    enrollment_id: String,
}

impl CommandPlace {
    /// That of a command.
    #[must_use]
    pub fn of(command: &CommandSummary) -> Self {
        Self {
            created_at: command.created_at,
            uuid: command.uuid.clone(),
            enrollment_id: command.enrollment_id.clone(),
        }
    }
}

/// Written as `MILLISECONDS:UUID:ENROLLMENT`.
impl fmt::Display for CommandPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let created_at = to_millis(self.created_at);
        write!(out, "{created_at}:{}:{}", self.uuid, self.enrollment_id)
    }
}

/// A text is no place in the list of commands.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no place in the list of commands: write what the page before gave as `next`")]
pub struct NoPlace(String);

impl FromStr for CommandPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.splitn(3, ':');
        let (created_at, uuid, enrollment_id) = (parts.next(), parts.next(), parts.next());
        match (created_at.map(i64::from_str), uuid, enrollment_id) {
            (Some(Ok(created_at)), Some(uuid), Some(enrollment_id)) => Ok(Self {
                created_at: from_millis(created_at),
                uuid: uuid.to_owned(),
                enrollment_id: enrollment_id.to_owned(),
            }),
            _ => Err(NoPlace(text.to_owned())),
        }
    }
}

impl Store {
    /// Lists commands, done or not, those that were queued last first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)). A state that few
    /// commands are in is looked for in all: this is for an operator who asks, not for a request.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn list_all_commands(
        &self,
        filter: CommandFilter<'_>,
        limit: u64,
    ) -> Result<Vec<CommandSummary>, StoreError> {
        let mut query = Entity::find();
        if let Some(id) = filter.enrollment_id {
            query = query.filter(Column::EnrollmentId.eq(id));
        }
        if let Some(state) = filter.state {
            query = query.filter(Column::State.eq(state.as_str()));
        }
        query = match filter.after {
            Some(last) => {
                let order = [Column::CreatedAt, Column::Uuid, Column::EnrollmentId];
                let place = [
                    Expr::val(to_millis(last.created_at)),
                    Expr::val(last.uuid.as_str()),
                    Expr::val(last.enrollment_id.as_str()),
                ];
                query.filter(Expr::tuple(order.map(Expr::col)).lt(Expr::tuple(place)))
            }
            // Without any bound, SQLite would sort all rather than walk the index.
            None => query.filter(Column::CreatedAt.lte(i64::MAX)),
        };
        let rows = query
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Uuid)
            .order_by_desc(Column::EnrollmentId)
            .limit(page(limit))
            .into_partial_model::<SummaryColumns>()
            .all(&self.reader)
            .await?;
        read_summaries(rows)
    }
}
