//! Commands on record, done or not. Their way there is in `queue` (put in, look ahead) and `delivery` (sent, answered).

mod list;

use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Order, Query};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::command::{Column, Entity, Model};
use crate::entity::forgotten_command;
use crate::instant::{from_millis, to_millis};
use crate::sealed::Cell;
use crate::word::word_enum;
use crate::{MAX_PAGE, Store, StoreError, Unsealed, page};

pub use list::{CommandFilter, CommandPlace, NoPlace};

word_enum! {
    /// Where a command stands.
    pub enum CommandState in "command" {
        /// Waits to be sent.
        Queued = "queued",
        /// Was sent; the device has not answered.
        Sent = "sent",
        /// The device answered NotNow and does not remember it: it is to be sent again.
        NotNow = "not_now",
        /// The device did it, or began to.
        Acknowledged = "acknowledged",
        /// The device could not.
        Error = "error",
        /// The device did not understand it.
        FormatError = "format_error",
        /// An operator took it back. If it was on its way already, the device's answer will say what became of it.
        Cancelled = "cancelled",
        /// The device was enrolled afresh before it was done.
        Cleared = "cleared",
    }
}

impl CommandState {
    /// The states in which a command is yet to be done.
    pub(crate) const OPEN: [&'static str; 3] = [
        Self::Queued.as_str(),
        Self::Sent.as_str(),
        Self::NotNow.as_str(),
    ];

    /// Whether the command is yet to be done.
    #[must_use]
    pub fn is_open(self) -> bool {
        Self::OPEN.contains(&self.as_str())
    }
}

/// A command without payload and result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSummary {
    /// The channel that it is for.
    pub enrollment_id: String,
    /// CommandUUID.
    pub uuid: String,
    /// Its place in the order of this enrollment, from 1.
    pub seq: i64,
    /// RequestType.
    pub request_type: String,
    /// Who asked for it.
    pub origin: String,
    /// The decision that it came of, if a plugin asked for it.
    pub decision: Option<String>,
    /// Whether it goes to the device without command-selection being asked.
    pub bypass: bool,
    /// Where it stands.
    pub state: CommandState,
    /// When it was queued.
    pub created_at: SystemTime,
    /// When it was last sent.
    pub sent_at: Option<SystemTime>,
    /// When the device first said NotNow.
    pub not_now_at: Option<SystemTime>,
    /// How often it said so.
    pub not_now_count: i32,
    /// When it was done, failed, cancelled or cleared.
    pub completed_at: Option<SystemTime>,
    /// The error in short, for people.
    pub error: Option<String>,
}

/// A command with everything.
#[derive(Debug)]
pub struct Command {
    /// All but the following.
    pub summary: CommandSummary,
    /// The property list that is sent.
    pub payload: Unsealed<Vec<u8>>,
    /// The property list that the device answered, once it is done.
    pub result: Option<Unsealed<Vec<u8>>>,
}

impl Store {
    /// Finds a command with its payload and result.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: find command", level = "debug", skip_all)]
    pub async fn find_command(
        &self,
        enrollment_id: &str,
        uuid: &str,
    ) -> Result<Option<Command>, StoreError> {
        let row = Entity::find_by_id((enrollment_id.to_owned(), uuid.to_owned()))
            .one(&self.reader)
            .await?;
        row.map(|row| self.read_command(row)).transpose()
    }

    /// Finds the commands with this UUID, which one caller may have given to several enrollments; at most [`MAX_PAGE`](crate::MAX_PAGE).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn find_commands_by_uuid(
        &self,
        uuid: &str,
    ) -> Result<Vec<CommandSummary>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Uuid.eq(uuid))
            .order_by_asc(Column::EnrollmentId)
            .limit(MAX_PAGE)
            .into_partial_model::<SummaryColumns>()
            .all(&self.reader)
            .await?;
        read_summaries(rows)
    }

    /// Lists an enrollment's commands, done or not, the newest first, from the one before `before` (a `seq`), at most `limit`
    /// (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn list_commands(
        &self,
        enrollment_id: &str,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<CommandSummary>, StoreError> {
        let rows = Entity::find()
            .filter(Column::EnrollmentId.eq(enrollment_id))
            .filter(Condition::all().add_option(before.map(|seq| Column::Seq.lt(seq))))
            .order_by_desc(Column::Seq)
            .limit(page(limit))
            .into_partial_model::<SummaryColumns>()
            .all(&self.reader)
            .await?;
        read_summaries(rows)
    }

    /// Whether an enrollment has, or ever had, a command with this UUID that a plugin asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn was_wished(&self, enrollment_id: &str, uuid: &str) -> Result<bool, StoreError> {
        let key = (enrollment_id.to_owned(), uuid.to_owned());
        let known = Entity::find_by_id(key)
            .select_only()
            .column(Column::Uuid)
            .into_tuple::<String>()
            .one(&self.reader)
            .await?;
        Ok(known.is_some() || is_forgotten(&self.reader, enrollment_id, uuid).await?)
    }

    /// Forgets at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)) commands that were done, failed, cancelled or cleared before `until`; how
    /// many. What is yet to be done stays, however old it is; and that a plugin [wished](Self::was_wished) for something is remembered.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_commands(&self, until: SystemTime, limit: u64) -> Result<u64, StoreError> {
        let old = Query::select()
            .columns([Column::EnrollmentId, Column::Uuid])
            .from(Entity)
            .and_where(Column::CompletedAt.lt(to_millis(until)))
            .and_where(is_open().not())
            .order_by(Column::CompletedAt, Order::Asc)
            .limit(page(limit))
            // Whose answer is being stored is not waited for.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let key = [Column::EnrollmentId, Column::Uuid].map(|part| Expr::col((Entity, part)));
        let removal = Query::delete()
            .from_table(Entity)
            .and_where(Expr::tuple(key).in_subquery(old))
            .returning(Query::returning().columns([
                Column::EnrollmentId,
                Column::Uuid,
                Column::Decision,
            ]))
            .take();
        let tx = self.begin().await?;
        let removed = tx.query_all(&removal).await?;
        let mut wished = Vec::new();
        for row in &removed {
            let decision: Option<String> = row.try_get("", "decision")?;
            if decision.is_some() {
                let row = forgotten_command::Model {
                    enrollment_id: row.try_get("", "enrollment_id")?,
                    uuid: row.try_get("", "uuid")?,
                };
                wished.push(row.into_active_model());
            }
        }
        if !wished.is_empty() {
            forgotten_command::Entity::insert_many(wished)
                .exec_without_returning(&tx)
                .await?;
        }
        tx.commit().await?;
        Ok(removed.len() as u64)
    }

    pub(crate) fn read_command(&self, row: Model) -> Result<Command, StoreError> {
        let key = [row.enrollment_id.as_str(), row.uuid.as_str()];
        let payload = self.unseal(secret("payload", &key), &row.payload)?;
        let result = row
            .result
            .as_deref()
            .map(|sealed| self.unseal(secret("result", &key), sealed))
            .transpose()?;
        let columns = SummaryColumns {
            enrollment_id: row.enrollment_id,
            uuid: row.uuid,
            seq: row.seq,
            request_type: row.request_type,
            origin: row.origin,
            decision: row.decision,
            bypass: row.bypass,
            state: row.state,
            created_at: row.created_at,
            sent_at: row.sent_at,
            not_now_at: row.not_now_at,
            not_now_count: row.not_now_count,
            completed_at: row.completed_at,
            error: row.error,
        };
        Ok(Command {
            summary: columns.try_into()?,
            payload,
            result,
        })
    }
}

/// Whether a plugin wished for this command once, and it is no longer on record.
pub(crate) async fn is_forgotten(
    db: &impl ConnectionTrait,
    enrollment_id: &str,
    uuid: &str,
) -> Result<bool, StoreError> {
    let key = (enrollment_id.to_owned(), uuid.to_owned());
    let row = forgotten_command::Entity::find_by_id(key).one(db).await?;
    Ok(row.is_some())
}

/// That a command is yet to be done. The states stand in the statement itself: a database that makes its plan before it has the values would
/// not see that the index over open commands holds all that is looked for.
pub(crate) fn is_open() -> Expr {
    let open = CommandState::OPEN.map(|state| Expr::Constant(state.into()));
    Expr::col((Entity, Column::State)).is_in(open)
}

/// A sealed cell of the command with this enrollment id and UUID.
pub(crate) fn secret<'a>(column: &'static str, key: &'a [&'a str]) -> Cell<'a> {
    Cell {
        table: "command",
        column,
        key,
    }
}

/// The columns that a list reads: payloads and results can be large.
#[derive(DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub(crate) struct SummaryColumns {
    enrollment_id: String,
    uuid: String,
    seq: i64,
    request_type: String,
    origin: String,
    decision: Option<String>,
    bypass: bool,
    state: String,
    created_at: i64,
    sent_at: Option<i64>,
    not_now_at: Option<i64>,
    not_now_count: i32,
    completed_at: Option<i64>,
    error: Option<String>,
}

pub(crate) fn read_summaries(rows: Vec<SummaryColumns>) -> Result<Vec<CommandSummary>, StoreError> {
    rows.into_iter().map(CommandSummary::try_from).collect()
}

impl TryFrom<SummaryColumns> for CommandSummary {
    type Error = StoreError;

    fn try_from(row: SummaryColumns) -> Result<Self, StoreError> {
        Ok(Self {
            enrollment_id: row.enrollment_id,
            uuid: row.uuid,
            seq: row.seq,
            request_type: row.request_type,
            origin: row.origin,
            decision: row.decision,
            bypass: row.bypass,
            state: CommandState::read(&row.state)?,
            created_at: from_millis(row.created_at),
            sent_at: row.sent_at.map(from_millis),
            not_now_at: row.not_now_at.map(from_millis),
            not_now_count: row.not_now_count,
            completed_at: row.completed_at.map(from_millis),
            error: row.error,
        })
    }
}
