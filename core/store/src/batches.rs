//! One command for many devices, put into their queues together: a few statements for all of them, however many they are.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};
use zeroize::Zeroizing;

use crate::commands::{CommandState, secret};
use crate::enrollments::{EnrollmentState, lock_all};
use crate::entity::enrollment::{Column, Entity};
use crate::instant::to_millis;
use crate::{EnqueueOutcome, Store, StoreError, outbox, page};

/// A command for many enrollments. `Debug` leaves its payloads out.
#[derive(Clone, Copy)]
pub struct NewBatch<'a> {
    /// RequestType.
    pub request_type: &'a str,
    /// Who asked for it.
    pub origin: &'a str,
    /// Whether it goes to the devices without command-selection being asked.
    pub bypass: bool,
    /// What each enrollment gets, by its id.
    pub each: &'a BTreeMap<String, BatchCommand>,
}

/// A command of a [`NewBatch`], as one enrollment gets it.
pub struct BatchCommand {
    /// CommandUUID, unique within the enrollment.
    pub uuid: String,
    /// The whole property list, as it will be sent.
    pub payload: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for NewBatch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("NewBatch")
            .field("request_type", &self.request_type)
            .field("origin", &self.origin)
            .field("bypass", &self.bypass)
            .field("enrollments", &self.each.len())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Queues a command for many enrollments and schedules their pushes, in one transaction: for all that can have it, or, if it fails, for
    /// none. What became of each, in the order of `each`.
    ///
    /// Whoever else writes may wait for all of it: some 20 ms for a thousand, which is as many as should be put in at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn enqueue_batch(
        &self,
        batch: NewBatch<'_>,
        now: SystemTime,
    ) -> Result<Vec<EnqueueOutcome>, StoreError> {
        if batch.each.is_empty() {
            return Ok(Vec::new());
        }
        // Sealed before anybody waits for us.
        let insertion = self.insertion(&batch, now)?;
        let tx = self.begin().await?;
        let ids: Vec<&str> = batch.each.keys().map(String::as_str).collect();
        let states = lock_all(&tx, ids.iter().copied()).await?;
        let mut places = HashMap::with_capacity(batch.each.len());
        for row in tx.query_all_raw(insertion).await? {
            let id: String = row.try_get("", "enrollment_id")?;
            places.insert(id, row.try_get::<i64>("", "seq")?);
        }
        let queued: Vec<&str> = ids
            .into_iter()
            .filter(|id| places.contains_key(*id))
            .collect();
        count_up(&tx, &queued).await?;
        // A channel without tokens is woken by its first TokenUpdate.
        let woken: Vec<&str> = queued
            .into_iter()
            .filter(|id| states.get(*id) == Some(&EnrollmentState::Enrolled))
            .collect();
        outbox::request(&tx, woken, now).await?;
        tx.commit().await?;
        let outcome = |id: &String| match (places.get(id), states.get(id)) {
            (Some(seq), _) => EnqueueOutcome::Queued { seq: *seq },
            (None, None) => EnqueueOutcome::UnknownEnrollment,
            (None, Some(EnrollmentState::CheckedOut)) => EnqueueOutcome::CheckedOut,
            (None, Some(_)) => EnqueueOutcome::UuidTaken,
        };
        Ok(batch.each.keys().map(outcome).collect())
    }

    /// The ids of devices that have not checked out, from the one after `after`, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn managed_devices(
        &self,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<String>, StoreError> {
        let mut query = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::UserId.is_null())
            .filter(Column::State.ne(EnrollmentState::CheckedOut.as_str()));
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after));
        }
        let ids = query
            .order_by_asc(Column::Id)
            .limit(page(limit))
            .into_tuple()
            .all(&self.reader)
            .await?;
        Ok(ids)
    }

    /// The statement that puts the commands in, for those who can have them. Its text is the same for every batch of one size.
    fn insertion(&self, batch: &NewBatch<'_>, now: SystemTime) -> Result<Statement, StoreError> {
        let mut values: Vec<Value> = vec![
            batch.request_type.into(),
            batch.origin.into(),
            batch.bypass.into(),
            to_millis(now).into(),
        ];
        let mut rows = Vec::with_capacity(batch.each.len());
        for (id, BatchCommand { uuid, payload }) in batch.each {
            let next = values.len() + 1;
            rows.push(format!("(${}, ${}, ${})", next, next + 1, next + 2));
            let key = [id.as_str(), uuid.as_str()];
            let sealed = self.seal(secret("payload", &key), payload);
            let row: [Value; 3] = [id.as_str().into(), uuid.as_str().into(), sealed.into()];
            values.extend(row);
        }
        let sql = format!(
            "WITH new (enrollment_id, uuid, payload) AS (VALUES {rows}) \
             INSERT INTO command (enrollment_id, uuid, seq, request_type, payload, origin, bypass, state, created_at, not_now_count) \
             SELECT new.enrollment_id, new.uuid, e.command_seq + 1, $1, new.payload, $2, $3, '{queued}', $4, 0 \
             FROM new JOIN enrollment e ON e.id = new.enrollment_id WHERE e.state <> '{checked_out}' \
             ON CONFLICT (enrollment_id, uuid) DO NOTHING RETURNING enrollment_id, seq",
            rows = rows.join(", "),
            queued = CommandState::Queued,
            checked_out = EnrollmentState::CheckedOut,
        );
        let backend = self.writer()?.get_database_backend();
        Ok(Statement::from_sql_and_values(backend, sql, values))
    }
}

/// The numbers that were given are the last ones of their queues.
async fn count_up(tx: &DatabaseTransaction, enrollment_ids: &[&str]) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::CommandSeq, Expr::col(Column::CommandSeq).add(1))
        .filter(Column::Id.is_in(enrollment_ids.iter().copied()))
        .exec(tx)
        .await?;
    Ok(())
}
