//! Enrollment sessions: one person's attempt to enroll one device.

mod session;

use std::time::{Duration, SystemTime};

use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::entity::certificate;
use crate::entity::enrollment_session::{ActiveModel, Column, Entity, Model};
use crate::instant::to_millis;
use crate::{ApprovalState, Store, StoreError, page};

pub use session::{DeviceFacts, Identification, NewSession, Session, SessionState};

/// What became of [`Store::identify_session`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentifyOutcome {
    /// The session belongs to this device now.
    Identified {
        /// The session's new version.
        version: i32,
    },
    /// It was identified before and waits for its interim certificate; nothing changed.
    AlreadyIdentified {
        /// Whether it is this device that the session belongs to.
        same_device: bool,
    },
    /// The session was changed since it was read, or is past this step; nothing changed.
    Moved {
        /// Where it is.
        state: SessionState,
        /// The version that a new attempt must expect.
        version: i32,
    },
    /// An approval that was to be used up was used, changed or has expired meanwhile; nothing changed.
    ApprovalGone,
    /// There is no such session.
    Unknown,
}

/// What became of a change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Done.
    Done {
        /// The session's new version.
        version: i32,
    },
    /// The session is in another state or version; nothing changed.
    Moved {
        /// Where it is.
        state: SessionState,
        /// The version that a new attempt must expect.
        version: i32,
    },
    /// There is no such session.
    Unknown,
}

/// How long a session that came to nothing is kept, for whoever asks why.
const KEPT_FOR_QUESTIONS: Duration = Duration::from_hours(7 * 24);

impl Store {
    /// Stores a new session, `authenticated`, version 0.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when the id or the challenge exists already.
    #[tracing::instrument(name = "store: create session", level = "debug", skip_all)]
    pub async fn create_session(&self, new: NewSession) -> Result<(), StoreError> {
        let row = Model {
            id: new.id.to_string(),
            directory: new.directory,
            person_id: new.person_id,
            person_name: new.person_name,
            attributes: new.attributes,
            state: SessionState::Authenticated.as_str().to_owned(),
            challenge_hash: new.challenge_hash,
            version: 0,
            created_at: to_millis(new.created_at),
            expires_at: to_millis(new.expires_at),
            udid: None,
            serial: None,
            product: None,
            build: None,
            imei: None,
            meid: None,
            attestation: None,
            device_certificate: None,
            settings: None,
        };
        Entity::insert(row.into_active_model())
            .exec_without_returning(self.writer()?)
            .await?;
        Ok(())
    }

    /// Finds a session by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: find session", level = "debug", skip_all)]
    pub async fn find_session(&self, id: Uuid) -> Result<Option<Session>, StoreError> {
        let row = Entity::find_by_id(id.to_string()).one(&self.reader).await?;
        row.map(Session::try_from).transpose()
    }

    /// A person's sessions, latest first, at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)).
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn sessions_of_person(
        &self,
        directory: &str,
        person_id: &str,
        limit: u64,
    ) -> Result<Vec<Session>, StoreError> {
        let rows = Entity::find()
            .filter(Column::Directory.eq(directory))
            .filter(Column::PersonId.eq(person_id))
            .order_by_desc(Column::CreatedAt)
            .limit(page(limit))
            .all(&self.reader)
            .await?;
        rows.into_iter().map(Session::try_from).collect()
    }

    /// Finds the session that a phase-2 challenge belongs to, by the challenge's SHA-256.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn find_session_by_challenge_hash(
        &self,
        challenge_hash: &[u8],
    ) -> Result<Option<Session>, StoreError> {
        let row = Entity::find()
            .filter(Column::ChallengeHash.eq(challenge_hash))
            .one(&self.reader)
            .await?;
        row.map(Session::try_from).transpose()
    }

    /// Forgets at most `limit` (and [`MAX_PAGE`](crate::MAX_PAGE)) sessions that came to nothing: at once those that had expired by `now`
    /// before any device answered, and a week later others that never got a certificate; how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forget_abandoned_sessions(
        &self,
        now: SystemTime,
        limit: u64,
    ) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        // The states are those of sessions that may have none: what is completed is most, and is not looked at.
        let certificates = Query::select()
            .expr(Expr::value(1))
            .from(certificate::Entity)
            .and_where(
                Expr::col((certificate::Entity, certificate::Column::SessionId))
                    .equals((Entity, Column::Id)),
            )
            .take();
        let expired = |states: &[SessionState], by: SystemTime| {
            Condition::all()
                .add(Column::State.is_in(states.iter().map(|state| state.as_str())))
                .add(Column::ExpiresAt.lt(to_millis(by)))
        };
        let abandoned: Vec<String> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Expr::exists(certificates).not())
            .filter(
                Condition::any()
                    .add(expired(&[SessionState::Authenticated], now))
                    .add(expired(
                        &[SessionState::Identified, SessionState::Refused],
                        now - KEPT_FOR_QUESTIONS,
                    )),
            )
            .limit(page(limit))
            .lock_exclusive()
            .into_tuple()
            .all(&tx)
            .await?;
        let result = Entity::delete_many()
            .filter(Column::Id.is_in(abandoned))
            .exec(&tx)
            .await?;
        tx.commit().await?;
        Ok(result.rows_affected)
    }

    /// Phase 2: ties an `authenticated` session to a device and makes it `identified`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn identify_session(
        &self,
        id: Uuid,
        expected_version: i32,
        facts: Identification,
    ) -> Result<IdentifyOutcome, StoreError> {
        let tx = self.begin().await?;
        let Some(session) = lock(&tx, id).await? else {
            return Ok(IdentifyOutcome::Unknown);
        };
        let (state, version) = (session.state, session.version);
        if state == SessionState::Identified {
            let same_device = session
                .device
                .is_some_and(|device| device.udid == facts.device.udid);
            return Ok(IdentifyOutcome::AlreadyIdentified { same_device });
        }
        if state != SessionState::Authenticated || version != expected_version {
            return Ok(IdentifyOutcome::Moved { state, version });
        }
        let device = facts.device;
        let change = ActiveModel {
            udid: Set(Some(device.udid)),
            serial: Set(device.serial),
            product: Set(device.product),
            build: Set(device.build),
            imei: Set(device.imei),
            meid: Set(device.meid),
            attestation: Set(Some(facts.attestation)),
            device_certificate: Set(Some(facts.device_certificate)),
            settings: Set(Some(facts.settings)),
            ..ActiveModel::default()
        };
        change_state(&tx, id, SessionState::Identified, change).await?;
        if !self.use_approvals(&tx, ApprovalState::Approved).await? {
            return Ok(IdentifyOutcome::ApprovalGone);
        }
        self.write_record(&tx).await?;
        tx.commit().await?;
        Ok(IdentifyOutcome::Identified {
            version: version + 1,
        })
    }

    /// Moves a session from one state to another if it is in the first and still has `expected_version`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn advance_session(
        &self,
        id: Uuid,
        expected_version: i32,
        from: SessionState,
        to: SessionState,
    ) -> Result<Transition, StoreError> {
        self.move_session(id, expected_version, to, |state| state == from)
            .await
    }

    /// Ends a session: enrollment was denied. What is completed or refused already stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    pub async fn refuse_session(
        &self,
        id: Uuid,
        expected_version: i32,
    ) -> Result<Transition, StoreError> {
        self.move_session(id, expected_version, SessionState::Refused, |state| {
            !state.is_over()
        })
        .await
    }

    async fn move_session(
        &self,
        id: Uuid,
        expected_version: i32,
        to: SessionState,
        allowed_from: impl FnOnce(SessionState) -> bool,
    ) -> Result<Transition, StoreError> {
        let tx = self.begin().await?;
        let Some(Session { state, version, .. }) = lock(&tx, id).await? else {
            return Ok(Transition::Unknown);
        };
        if version != expected_version || !allowed_from(state) {
            return Ok(Transition::Moved { state, version });
        }
        change_state(&tx, id, to, ActiveModel::default()).await?;
        tx.commit().await?;
        Ok(Transition::Done {
            version: version + 1,
        })
    }
}

/// Moves a session inside another use case's transaction, whatever its version; how many rows were in one of `from`.
pub(crate) async fn step(
    tx: &DatabaseTransaction,
    id: Uuid,
    from: &[SessionState],
    to: SessionState,
) -> Result<u64, StoreError> {
    let result = Entity::update_many()
        .col_expr(Column::State, Expr::value(to.as_str()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id.to_string()))
        .filter(Column::State.is_in(from.iter().map(|state| state.as_str())))
        .exec(tx)
        .await?;
    Ok(result.rows_affected)
}

/// Lets a session that waits for a person's answer live until then.
pub(crate) async fn outlast(
    tx: &DatabaseTransaction,
    id: Uuid,
    until: SystemTime,
) -> Result<(), StoreError> {
    Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::value(to_millis(until)))
        .filter(Column::Id.eq(id.to_string()))
        .filter(Column::ExpiresAt.lt(to_millis(until)))
        .exec(tx)
        .await?;
    Ok(())
}

async fn lock(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Session>, StoreError> {
    let row = Entity::find_by_id(id.to_string())
        .lock_exclusive()
        .one(tx)
        .await?;
    row.map(Session::try_from).transpose()
}

/// The caller holds the row's lock and has compared its version.
async fn change_state(
    tx: &DatabaseTransaction,
    id: Uuid,
    to: SessionState,
    change: ActiveModel,
) -> Result<(), StoreError> {
    Entity::update_many()
        .set(change)
        .col_expr(Column::State, Expr::value(to.as_str()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id.to_string()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Reads a column that holds a session's id.
pub(crate) fn read_id(table: &'static str, text: &str) -> Result<Uuid, StoreError> {
    Uuid::parse_str(text).map_err(|_| StoreError::Damaged {
        table,
        what: format!("session id {text:?} is not a UUID"),
    })
}
