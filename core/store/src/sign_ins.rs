//! Sign-ins of more than one step: what a directory leaves behind, sealed, until the person comes back with the ticket.

use std::time::SystemTime;

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::entity::sign_in_step::{Column, Entity, Model};
use crate::instant::to_millis;
use crate::sealed::Cell;
use crate::{Store, StoreError, Unsealed, page};

fn cell<'a>(key: &'a [&'a str]) -> Cell<'a> {
    Cell {
        table: "sign_in_step",
        column: "content",
        key,
    }
}

impl Store {
    /// Keeps a step under the hash of its ticket, hex.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] for a ticket that was drawn before, [`StoreError::Database`].
    pub async fn keep_sign_in(
        &self,
        ticket_hash: &str,
        content: &[u8],
        expires_at: SystemTime,
    ) -> Result<(), StoreError> {
        let row = Model {
            ticket_hash: ticket_hash.to_owned(),
            content: self.seal(cell(&[ticket_hash]), content),
            expires_at: to_millis(expires_at),
        };
        Entity::insert(row.into_active_model())
            .exec_without_returning(self.writer()?)
            .await?;
        Ok(())
    }

    /// A step, which stays. `None` for a ticket that was used, is over, or was never given out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn find_sign_in(
        &self,
        ticket_hash: &str,
        now: SystemTime,
    ) -> Result<Option<Unsealed<Vec<u8>>>, StoreError> {
        let found = Entity::find_by_id(ticket_hash.to_owned());
        let row = found.one(&self.reader).await?;
        row.filter(|row| row.expires_at > to_millis(now))
            .map(|row| self.unseal(cell(&[ticket_hash]), &row.content))
            .transpose()
    }

    /// Takes a step, once: of however many that come with the ticket, one gets it. `None` for a ticket that was used, is over, or was
    /// never given out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn take_sign_in(
        &self,
        ticket_hash: &str,
        now: SystemTime,
    ) -> Result<Option<Unsealed<Vec<u8>>>, StoreError> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(ticket_hash.to_owned()).one(&tx).await?;
        let taken = Entity::delete_by_id(ticket_hash.to_owned())
            .exec(&tx)
            .await?;
        tx.commit().await?;
        match row {
            Some(row) if taken.rows_affected == 1 && row.expires_at > to_millis(now) => {
                self.unseal(cell(&[ticket_hash]), &row.content).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Forgets at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)) steps that had expired by `now`; how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_expired_sign_ins(
        &self,
        now: SystemTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        let expired: Vec<String> = Entity::find()
            .select_only()
            .column(Column::TicketHash)
            .filter(Column::ExpiresAt.lt(to_millis(now)))
            .limit(page(limit))
            .into_tuple()
            .all(&tx)
            .await?;
        let result = Entity::delete_many()
            .filter(Column::TicketHash.is_in(expired))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(result.rows_affected)
    }
}
