//! Command queues: putting in, and looking at what is yet to be done.

use std::fmt;
use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};

use crate::commands::{
    Command, CommandState, CommandSummary, SummaryColumns, is_forgotten, is_open, read_summaries,
    secret,
};
use crate::connect::is_conflict;
use crate::enrollments::EnrollmentState;
use crate::entity::command::{Column, Entity, Model};
use crate::entity::enrollment;
use crate::instant::to_millis;
use crate::{Store, StoreError, outbox, page};

/// A command for one enrollment. `Debug` leaves its payload out.
#[derive(Clone, Copy)]
pub struct NewCommand<'a> {
    /// The channel that it is for.
    pub enrollment_id: &'a str,
    /// CommandUUID, unique within the enrollment.
    pub uuid: &'a str,
    /// RequestType.
    pub request_type: &'a str,
    /// The whole property list, as it will be sent.
    pub payload: &'a [u8],
    /// Who asked for it: an operator, a plugin's binding.
    pub origin: &'a str,
    /// The decision that it came of, if a plugin asked for it.
    pub decision: Option<&'a str>,
    /// Whether it goes to the device without command-selection being asked.
    pub bypass: bool,
}

impl fmt::Debug for NewCommand<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("NewCommand")
            .field("enrollment_id", &self.enrollment_id)
            .field("uuid", &self.uuid)
            .field("request_type", &self.request_type)
            .field("origin", &self.origin)
            .field("decision", &self.decision)
            .field("bypass", &self.bypass)
            .finish_non_exhaustive()
    }
}

/// What became of [`Store::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnqueueOutcome {
    /// It waits, and a push is scheduled if the device can be woken.
    Queued {
        /// Its place in the order of this enrollment.
        seq: i64,
    },
    /// The enrollment has a command with this UUID already, or had one that a plugin wished for; nothing changed.
    UuidTaken,
    /// There is no such enrollment.
    UnknownEnrollment,
    /// The enrollment checked out: nothing would ever fetch it.
    CheckedOut,
}

/// The front of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueHead {
    /// The first commands that are yet to be done, in order.
    pub head: Vec<CommandSummary>,
    /// How many there are in all.
    pub open: u64,
}

/// How much a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PendingWork {
    /// Commands that can be sent at once.
    pub ready: u64,
    /// Commands that the device put off.
    pub not_now: u64,
}

impl Store {
    /// Queues a command and schedules the push that makes the device fetch it, in one transaction, which also writes the
    /// [record](Store::recording) of the decision that it came of.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: enqueue", level = "debug", skip_all)]
    pub async fn enqueue(
        &self,
        new: NewCommand<'_>,
        now: SystemTime,
    ) -> Result<EnqueueOutcome, StoreError> {
        let tx = self.begin().await?;
        let (state, seq) = match next_place(&tx, new.enrollment_id).await? {
            None => return Ok(EnqueueOutcome::UnknownEnrollment),
            Some((EnrollmentState::CheckedOut, _)) => return Ok(EnqueueOutcome::CheckedOut),
            Some(place) => place,
        };
        if new.decision.is_some() && is_forgotten(&tx, new.enrollment_id, new.uuid).await? {
            return Ok(EnqueueOutcome::UuidTaken);
        }
        let key = [new.enrollment_id, new.uuid];
        let row = Model {
            enrollment_id: new.enrollment_id.to_owned(),
            uuid: new.uuid.to_owned(),
            seq,
            request_type: new.request_type.to_owned(),
            payload: self.seal(secret("payload", &key), new.payload),
            origin: new.origin.to_owned(),
            decision: new.decision.map(str::to_owned),
            bypass: new.bypass,
            state: CommandState::Queued.as_str().to_owned(),
            created_at: to_millis(now),
            sent_at: None,
            not_now_at: None,
            not_now_count: 0,
            completed_at: None,
            result: None,
            error: None,
        };
        match Entity::insert(row.into_active_model())
            .exec_without_returning(&tx)
            .await
        {
            Err(error) if is_conflict(&error) => return Ok(EnqueueOutcome::UuidTaken),
            inserted => inserted?,
        };
        // A channel without tokens is woken by its first TokenUpdate.
        if state == EnrollmentState::Enrolled {
            outbox::request(&tx, [new.enrollment_id], now).await?;
        }
        self.write_record(&tx).await?;
        tx.commit().await?;
        Ok(EnqueueOutcome::Queued { seq })
    }

    /// The command to send now: the oldest that is yet to be done. With `skip_not_now`, not one that the device put off,
    /// so that an exchange whose last answer was NotNow does not go round in circles.
    ///
    /// A read: a command that was sent and not answered is offered again, which is how at least once comes about.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: next command", level = "debug", skip_all)]
    pub async fn next_command(
        &self,
        enrollment_id: &str,
        skip_not_now: bool,
    ) -> Result<Option<Command>, StoreError> {
        let mut query = Entity::find()
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(is_open());
        if skip_not_now {
            query = query.filter(Column::State.ne(CommandState::NotNow.as_str()));
        }
        // In the order of the index over open commands, which ends the reading at the first.
        let row = query
            .order_by_asc(Column::Seq)
            .limit(1)
            .one(&self.reader)
            .await?;
        row.map(|row| self.read_command(row)).transpose()
    }

    /// The first `limit` commands (at most [`MAX_PAGE`](crate::MAX_PAGE)) that are yet to be done, and how many there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: queue head", level = "debug", skip_all)]
    pub async fn queue_head(
        &self,
        enrollment_id: &str,
        limit: u64,
    ) -> Result<QueueHead, StoreError> {
        let open = Condition::all()
            .add(Column::EnrollmentId.eq(enrollment_id))
            .add(is_open());
        let rows = Entity::find()
            .filter(open.clone())
            .order_by_asc(Column::Seq)
            .limit(page(limit))
            .into_partial_model::<SummaryColumns>()
            .all(&self.reader)
            .await?;
        Ok(QueueHead {
            head: read_summaries(rows)?,
            open: Entity::find().filter(open).count(&self.reader).await?,
        })
    }

    /// How much work waits for a channel: whether an exchange is over, and whether another push is due.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: pending work", level = "debug", skip_all)]
    pub async fn pending_work(&self, enrollment_id: &str) -> Result<PendingWork, StoreError> {
        let counts: Vec<(String, i64)> = Entity::find()
            .select_only()
            .column(Column::State)
            .column_as(Column::Uuid.count(), "commands")
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(is_open())
            .group_by(Column::State)
            .into_tuple()
            .all(&self.reader)
            .await?;
        let mut work = PendingWork::default();
        for (state, count) in counts {
            let count = u64::try_from(count).unwrap_or_default();
            if CommandState::read(&state)? == CommandState::NotNow {
                work.not_now += count;
            } else {
                work.ready += count;
            }
        }
        Ok(work)
    }
}

/// Takes the next number of an enrollment's queue, which also keeps others from queueing until the transaction ends.
async fn next_place(
    tx: &DatabaseTransaction,
    enrollment_id: &str,
) -> Result<Option<(EnrollmentState, i64)>, StoreError> {
    use enrollment::Column;
    enrollment::Entity::update_many()
        .col_expr(Column::CommandSeq, Expr::col(Column::CommandSeq).add(1))
        .filter(Column::Id.eq(enrollment_id))
        .exec(tx)
        .await?;
    let place: Option<(String, i64)> = enrollment::Entity::find_by_id(enrollment_id.to_owned())
        .select_only()
        .columns([Column::State, Column::CommandSeq])
        .into_tuple()
        .one(tx)
        .await?;
    place
        .map(|(state, seq)| Ok((EnrollmentState::read(&state)?, seq)))
        .transpose()
}
