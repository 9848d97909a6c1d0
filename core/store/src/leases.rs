//! Leases: work that one node at a time does for all of them. A node that dies is replaced when its lease is over.
//!
//! Nodes' clocks may differ by less than a lease lasts. By more, two nodes may do the same work at once for a while; all of it is such that
//! this does no harm. What a clock that was ahead by far has taken does not keep others away once that clock is right again, or gone.

use std::time::{Duration, SystemTime};

use sea_orm::sea_query::{Condition, Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use crate::entity::lease::{Column, Entity, Model};
use crate::instant::to_millis;
use crate::{Store, StoreError};

/// A lease that lasts so much longer than the one that is asked for was taken by a clock that was ahead. Clocks of nodes differ by less.
const IMPLAUSIBLE: Duration = Duration::from_hours(1);

impl Store {
    /// Takes a lease on some work until `until`, or prolongs it; whether `holder` has it. Nobody gets it who asks while another has it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn hold_lease(
        &self,
        work: &str,
        holder: Uuid,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<bool, StoreError> {
        let row = Model {
            work: work.to_owned(),
            holder: holder.to_string(),
            until: to_millis(until),
        };
        let stored = |column: Column| Expr::col((Entity, column));
        let mut free = OnConflict::column(Column::Work);
        free.update_columns([Column::Holder, Column::Until])
            .action_cond_where(
                Condition::any()
                    .add(stored(Column::Holder).eq(holder.to_string()))
                    .add(stored(Column::Until).lte(to_millis(now)))
                    .add(stored(Column::Until).gt(to_millis(until + IMPLAUSIBLE))),
            );
        let held = Entity::insert(row.into_active_model())
            .on_conflict(free)
            .exec_without_returning(self.writer()?)
            .await?;
        Ok(held > 0)
    }

    /// Gives up all leases of a node that stops, so that another need not wait for their end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn release_leases(&self, holder: Uuid) -> Result<(), StoreError> {
        Entity::delete_many()
            .filter(Column::Holder.eq(holder.to_string()))
            .exec(self.writer()?)
            .await?;
        Ok(())
    }
}
