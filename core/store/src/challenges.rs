//! Challenges that were used: each authorises one request, once.

use std::time::SystemTime;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::entity::challenge_use;
use crate::instant::to_millis;
use crate::{Store, StoreError, page};

/// The single-use authorisation that a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its unique id, hex.
    pub id: String,
    /// When it ends by itself; its use is remembered until then.
    pub expires_at: SystemTime,
}

impl Store {
    /// Forgets the use of at most `limit` challenges (and [`MAX_PAGE`](crate::MAX_PAGE)) that had expired by `now`; how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_expired_challenges(
        &self,
        now: SystemTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        let ids: Vec<String> = challenge_use::Entity::find()
            .select_only()
            .column(challenge_use::Column::Id)
            .filter(challenge_use::Column::ExpiresAt.lt(to_millis(now)))
            .order_by_asc(challenge_use::Column::ExpiresAt)
            .limit(page(limit))
            .into_tuple()
            .all(&tx)
            .await?;
        let result = challenge_use::Entity::delete_many()
            .filter(challenge_use::Column::Id.is_in(ids))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(result.rows_affected)
    }
}

#[derive(PartialEq, Eq)]
pub(crate) enum Spent {
    Now,
    Before,
}

/// Spends a challenge on the request that `used_by` names.
pub(crate) async fn spend(
    tx: &DatabaseTransaction,
    challenge: &Challenge,
    used_by: String,
    now: SystemTime,
) -> Result<Spent, StoreError> {
    let row = challenge_use::Model {
        id: challenge.id.clone(),
        used_by,
        used_at: to_millis(now),
        expires_at: to_millis(challenge.expires_at),
    };
    let mut once = OnConflict::column(challenge_use::Column::Id);
    once.do_nothing();
    let spent = challenge_use::Entity::insert(row.into_active_model())
        .on_conflict(once)
        .exec_without_returning(tx)
        .await?;
    Ok(if spent > 0 { Spent::Now } else { Spent::Before })
}
