//! Enrollments: one channel of one device, with its tokens.

use std::collections::HashMap;
use std::time::SystemTime;

use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition, Order};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, JoinType,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::entity::certificate;
use crate::entity::enrollment::{ActiveModel, Column, Entity, Model};
use crate::instant::{from_millis, to_millis};
use crate::sealed::Cell;
use crate::sessions::read_id;
use crate::word::word_enum;
use crate::{EnrollmentFacts, Store, StoreError, Unsealed, page};

word_enum! {
    /// Whether a channel is managed.
    pub enum EnrollmentState in "enrollment" {
        /// Authenticate came, TokenUpdate not yet: it cannot be woken.
        Pending = "pending",
        /// TokenUpdate came: it can be woken.
        Enrolled = "enrolled",
        /// It said that it is no longer managed.
        CheckedOut = "checked_out",
    }
}

/// An enrollment as it is stored, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// The UDID, or `UDID:UserID` for a user channel.
    pub id: String,
    /// The device's UDID.
    pub device_id: String,
    /// The user of a user channel.
    pub user_id: Option<String>,
    /// The session that it came out of.
    pub session_id: Option<Uuid>,
    /// The directory that knows the person.
    pub directory: String,
    /// The lasting id of the person who enrolled it.
    pub person_id: String,
    /// What that person is called.
    pub person_name: String,
    /// Whether it is managed.
    pub state: EnrollmentState,
    /// The push topic that it enrolled with.
    pub topic: String,
    /// What the device said about itself.
    pub facts: EnrollmentFacts,
    /// The fingerprint of its current identity certificate.
    pub certificate: Option<String>,
    /// Whether Setup Assistant waits for DeviceConfigured.
    pub awaiting_configuration: Option<bool>,
    /// Whether a push can be addressed to it.
    pub has_push_tokens: bool,
    /// When its push tokens came.
    pub token_updated_at: Option<SystemTime>,
    /// Since when APNs is known to take no push to its token; until the next TokenUpdate, none is sent.
    pub token_dead_at: Option<SystemTime>,
    /// Whether it left an unlock token, so that its passcode can be cleared.
    pub has_unlock_token: bool,
    /// TokenUpdates since the fresh enrollment.
    pub token_updates: i32,
    /// Grows with every check-in message.
    pub version: i32,
    /// When it was first seen.
    pub created_at: SystemTime,
    /// When its first TokenUpdate came.
    pub enrolled_at: Option<SystemTime>,
    /// When it last spoke, as far as that was written down.
    pub last_seen_at: Option<SystemTime>,
    /// When it checked out.
    pub checked_out_at: Option<SystemTime>,
    /// When APNs last answered a push to it.
    pub last_push_at: Option<SystemTime>,
    /// What APNs answered.
    pub last_push_result: Option<String>,
}

/// Where a push goes.
#[derive(Debug)]
pub struct PushTarget {
    /// The device token, raw.
    pub token: Unsealed<Vec<u8>>,
    /// The PushMagic string, the payload of the push.
    pub push_magic: Unsealed<String>,
    /// The APNs topic.
    pub topic: String,
    /// When the tokens came.
    pub received_at: SystemTime,
}

impl Store {
    /// Whether a person has a device that has not checked out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn has_devices(&self, directory: &str, person_id: &str) -> Result<bool, StoreError> {
        let any: Option<String> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Directory.eq(directory))
            .filter(Column::PersonId.eq(person_id))
            .filter(Column::State.ne(EnrollmentState::CheckedOut.as_str()))
            .limit(1)
            .into_tuple()
            .one(&self.reader)
            .await?;
        Ok(any.is_some())
    }

    /// Finds an enrollment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: find enrollment", level = "debug", skip_all)]
    pub async fn find_enrollment(&self, id: &str) -> Result<Option<Enrollment>, StoreError> {
        let row = Entity::find_by_id(id.to_owned()).one(&self.reader).await?;
        row.map(Enrollment::try_from).transpose()
    }

    /// Lists enrollments by id, from the one after `after`, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn list_enrollments(
        &self,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Enrollment>, StoreError> {
        let rows = Entity::find()
            .filter(Condition::all().add_option(after.map(|after| Column::Id.gt(after))))
            .order_by_asc(Column::Id)
            .limit(page(limit))
            .all(&self.reader)
            .await?;
        rows.into_iter().map(Enrollment::try_from).collect()
    }

    /// Channels that are managed, or about to be, under a certificate that ends before `before` or has ended; by id, from the one after
    /// `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn enrollments_ending(
        &self,
        before: SystemTime,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Enrollment>, StoreError> {
        let current = Entity::belongs_to(certificate::Entity)
            .from(Column::Certificate)
            .to(certificate::Column::Fingerprint)
            .into();
        let mut query = Entity::find()
            .join(JoinType::InnerJoin, current)
            .filter(certificate::Column::NotAfter.lte(to_millis(before)))
            .filter(Column::State.ne(EnrollmentState::CheckedOut.as_str()))
            .order_by_asc(Column::Id)
            .limit(page(limit));
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after));
        }
        let rows = query.all(&self.reader).await?;
        rows.into_iter().map(Enrollment::try_from).collect()
    }

    /// Where to push to wake this channel; `None` when it is unknown, not enrolled, left no tokens, or its token is dead.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn push_target(&self, id: &str) -> Result<Option<PushTarget>, StoreError> {
        match Entity::find_by_id(id.to_owned()).one(&self.reader).await? {
            Some(row) => self.read_push_target(&row),
            None => Ok(None),
        }
    }

    /// The unlock token that ClearPasscode needs; `None` when the device is unknown or never sent one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn unlock_token(&self, id: &str) -> Result<Option<Unsealed<Vec<u8>>>, StoreError> {
        let sealed: Option<Option<Vec<u8>>> = Entity::find_by_id(id.to_owned())
            .select_only()
            .column(Column::UnlockToken)
            .into_tuple()
            .one(&self.reader)
            .await?;
        sealed
            .flatten()
            .map(|sealed| self.unseal(secret("unlock_token", &[id]), &sealed))
            .transpose()
    }

    /// Writes down when channels last spoke. Times only move forward; ids that are not there are passed over. Meant to be
    /// called now and then with many, not in each request.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    #[tracing::instrument(name = "store: touch last seen", level = "debug", skip_all)]
    pub async fn touch_last_seen(&self, seen: &[(String, SystemTime)]) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        lock_all(&tx, seen.iter().map(|(id, _)| id.as_str())).await?;
        for (id, at) in seen {
            let at = to_millis(*at);
            Entity::update_many()
                .col_expr(Column::LastSeenAt, Expr::value(at))
                .filter(Column::Id.eq(id))
                .filter(
                    Condition::any()
                        .add(Column::LastSeenAt.is_null())
                        .add(Column::LastSeenAt.lt(at)),
                )
                .exec(&tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    pub(crate) fn read_push_target(&self, row: &Model) -> Result<Option<PushTarget>, StoreError> {
        let (Some(token), Some(push_magic)) = (&row.token, &row.push_magic) else {
            return Ok(None);
        };
        if row.token_dead_at.is_some()
            || EnrollmentState::read(&row.state)? != EnrollmentState::Enrolled
        {
            return Ok(None);
        }
        Ok(Some(PushTarget {
            received_at: from_millis(row.token_updated_at.unwrap_or(row.created_at)),
            token: self.unseal(secret("token", &[&row.id]), token)?,
            push_magic: self.unseal_text(secret("push_magic", &[&row.id]), push_magic)?,
            topic: row.topic.clone(),
        }))
    }
}

/// A sealed cell of the enrollment with this id.
pub(crate) fn secret<'a>(column: &'static str, id: &'a [&'a str]) -> Cell<'a> {
    Cell {
        table: "enrollment",
        column,
        key: id,
    }
}

pub(crate) async fn lock(tx: &impl ConnectionTrait, id: &str) -> Result<Option<Model>, StoreError> {
    let query = Entity::find_by_id(id.to_owned()).lock_exclusive();
    Ok(query.one(tx).await?)
}

/// Locks these enrollments in the order in which everybody does: a device's id comes before those of its user channels. Those that there are,
/// and whether they are managed.
pub(crate) async fn lock_all(
    tx: &DatabaseTransaction,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, EnrollmentState>, StoreError> {
    // By their octets, whatever the database's language is.
    let order = match tx.get_database_backend() {
        DbBackend::Postgres => Expr::cust("id COLLATE \"C\""),
        _ => Expr::col(Column::Id),
    };
    let locked: Vec<(String, String)> = Entity::find()
        .select_only()
        .columns([Column::Id, Column::State])
        .filter(Column::Id.is_in(ids))
        .order_by(order, Order::Asc)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await?;
    let read = |(id, state): (String, String)| Ok((id, EnrollmentState::read(&state)?));
    locked.into_iter().map(read).collect()
}

/// The device that a channel is of.
pub(crate) async fn device_of(
    tx: &DatabaseTransaction,
    id: &str,
) -> Result<Option<String>, StoreError> {
    Ok(Entity::find_by_id(id.to_owned())
        .select_only()
        .column(Column::DeviceId)
        .into_tuple()
        .one(tx)
        .await?)
}

/// The ids of a device's channels, its own included. A device has few users.
pub(crate) async fn channels_of(
    tx: &DatabaseTransaction,
    device_id: &str,
) -> Result<Vec<String>, StoreError> {
    Ok(Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::DeviceId.eq(device_id))
        .into_tuple()
        .all(tx)
        .await?)
}

pub(crate) async fn update(
    tx: &DatabaseTransaction,
    which: impl IntoCondition,
    change: ActiveModel,
) -> Result<(), StoreError> {
    Entity::update_many()
        .set(change)
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(which)
        .exec(tx)
        .await?;
    Ok(())
}

impl TryFrom<Model> for Enrollment {
    type Error = StoreError;

    fn try_from(row: Model) -> Result<Self, StoreError> {
        let session_id = row.session_id.as_deref();
        Ok(Self {
            session_id: session_id.map(|id| read_id("enrollment", id)).transpose()?,
            state: EnrollmentState::read(&row.state)?,
            has_push_tokens: row.token.is_some() && row.push_magic.is_some(),
            has_unlock_token: row.unlock_token.is_some(),
            token_updated_at: row.token_updated_at.map(from_millis),
            token_dead_at: row.token_dead_at.map(from_millis),
            id: row.id,
            device_id: row.device_id,
            user_id: row.user_id,
            directory: row.directory,
            person_id: row.person_id,
            person_name: row.person_name,
            topic: row.topic,
            facts: EnrollmentFacts {
                serial: row.serial,
                product: row.product,
                model: row.model,
                model_name: row.model_name,
                device_name: row.device_name,
                os_version: row.os_version,
                build_version: row.build_version,
                imei: row.imei,
                meid: row.meid,
            },
            certificate: row.certificate,
            awaiting_configuration: row.awaiting_configuration,
            token_updates: row.token_updates,
            version: row.version,
            created_at: from_millis(row.created_at),
            enrolled_at: row.enrolled_at.map(from_millis),
            last_seen_at: row.last_seen_at.map(from_millis),
            checked_out_at: row.checked_out_at.map(from_millis),
            last_push_at: row.last_push_at.map(from_millis),
            last_push_result: row.last_push_result,
        })
    }
}
