//! What TokenUpdate and CheckOut change.

use std::fmt;
use std::time::SystemTime;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, IntoActiveModel,
};

use crate::enrollments::{EnrollmentState, channels_of, device_of, lock, lock_all, secret, update};
use crate::entity::enrollment::{ActiveModel, Column, Entity, Model};
use crate::instant::to_millis;
use crate::sessions::{self, SessionState, read_id};
use crate::{PersonKey, Store, StoreError, outbox, standings};

/// A TokenUpdate message, verified. `Debug` leaves its secrets out.
#[derive(Clone, Copy)]
pub struct TokenUpdate<'a> {
    /// The UDID.
    pub device_id: &'a str,
    /// The user, on a user channel.
    pub user_id: Option<&'a str>,
    /// The fingerprint of the identity certificate that signed the message.
    pub certificate: &'a str,
    /// The push topic.
    pub topic: &'a str,
    /// The device token, raw.
    pub token: &'a [u8],
    /// The PushMagic string.
    pub push_magic: &'a str,
    /// The unlock token. Absent means unchanged, not deleted.
    pub unlock_token: Option<&'a [u8]>,
    /// Whether Setup Assistant waits. Absent means unchanged.
    pub awaiting_configuration: Option<bool>,
}

impl fmt::Debug for TokenUpdate<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TokenUpdate")
            .field("device_id", &self.device_id)
            .field("user_id", &self.user_id)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl TokenUpdate<'_> {
    /// The enrollment's id: the UDID, or `UDID:UserID`.
    pub fn enrollment_id(&self) -> String {
        match self.user_id {
            Some(user_id) => format!("{}:{user_id}", self.device_id),
            None => self.device_id.to_owned(),
        }
    }
}

/// What became of [`Store::token_update`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenUpdateOutcome {
    /// The first since the fresh enrollment: the channel is enrolled now.
    First,
    /// A later one: the tokens are refreshed.
    Refreshed,
    /// The device never sent Authenticate; nothing changed.
    UnknownDevice,
    /// The certificate is not the device's current one; nothing changed.
    OtherCertificate,
    /// The device has checked out, and has to send Authenticate first; nothing changed.
    CheckedOut,
    /// The device has [`MAX_USER_CHANNELS`] user channels; nothing changed.
    TooManyUsers,
}

/// User channels that one device may have: a Mac has a few, a Shared iPad some dozens, a hostile device as many as it likes.
pub const MAX_USER_CHANNELS: usize = 256;

/// What became of [`Store::check_out`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutOutcome {
    /// It is checked out; nothing is pushed to it any more.
    CheckedOut,
    /// It had done so before; the first time stands.
    AlreadyCheckedOut,
    /// There is no such enrollment.
    Unknown,
    /// The certificate is not the device's current one; nothing changed.
    OtherCertificate,
}

impl Store {
    /// TokenUpdate: stores the tokens of one channel, marks it enrolled, completes the session and schedules a push, in one
    /// transaction. A user channel is made by its first TokenUpdate and never touches the tokens of its device.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: token update", level = "debug", skip_all)]
    pub async fn token_update(
        &self,
        message: TokenUpdate<'_>,
        now: SystemTime,
    ) -> Result<TokenUpdateOutcome, StoreError> {
        let tx = self.begin().await?;
        let Some(device) = lock(&tx, message.device_id).await? else {
            return Ok(TokenUpdateOutcome::UnknownDevice);
        };
        if device.certificate.as_deref() != Some(message.certificate) {
            return Ok(TokenUpdateOutcome::OtherCertificate);
        }
        if EnrollmentState::read(&device.state)? == EnrollmentState::CheckedOut {
            return Ok(TokenUpdateOutcome::CheckedOut);
        }
        let id = message.enrollment_id();
        let channel = match message.user_id {
            None => device,
            Some(user_id) => match lock(&tx, &id).await? {
                Some(channel) => channel,
                None if channels_of(&tx, &device.device_id).await?.len() > MAX_USER_CHANNELS => {
                    return Ok(TokenUpdateOutcome::TooManyUsers);
                }
                None => insert_user_channel(&tx, &device, &id, user_id, now).await?,
            },
        };
        let outcome = if channel.token_updates == 0 {
            TokenUpdateOutcome::First
        } else {
            TokenUpdateOutcome::Refreshed
        };
        if let (None, Some(session_id)) = (&channel.user_id, &channel.session_id) {
            let session_id = read_id("enrollment", session_id)?;
            let from = [SessionState::Delivered];
            sessions::step(&tx, session_id, &from, SessionState::Completed).await?;
        }
        let change = self.tokens(&id, message, &channel, now);
        update(&tx, Column::Id.eq(&id), change).await?;
        outbox::request(&tx, [id.as_str()], now).await?;
        if outcome == TokenUpdateOutcome::First {
            self.note(&tx, now).await?;
        }
        tx.commit().await?;
        Ok(outcome)
    }

    /// CheckOut: stops pushes and keeps the history. That of a device takes its user channels along. `certificate` is that of the
    /// device that says so, or `None` if an operator does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: check out", level = "debug", skip_all)]
    pub async fn check_out(
        &self,
        id: &str,
        certificate: Option<&str>,
        now: SystemTime,
    ) -> Result<CheckOutOutcome, StoreError> {
        let tx = self.begin().await?;
        let Some(device) = device_of(&tx, id).await? else {
            return Ok(CheckOutOutcome::Unknown);
        };
        let device = lock(&tx, &device).await?;
        let Some(row) = lock(&tx, id).await? else {
            return Ok(CheckOutOutcome::Unknown);
        };
        let current = device.and_then(|device| device.certificate);
        if certificate.is_some() && current.as_deref() != certificate {
            return Ok(CheckOutOutcome::OtherCertificate);
        }
        if EnrollmentState::read(&row.state)? == EnrollmentState::CheckedOut {
            return Ok(CheckOutOutcome::AlreadyCheckedOut);
        }
        let person = PersonKey {
            directory: row.directory,
            person_id: row.person_id,
        };
        let channels = match row.user_id {
            None => channels_of(&tx, &row.device_id).await?,
            Some(_) => vec![row.id],
        };
        lock_all(&tx, channels.iter().map(String::as_str)).await?;
        let change = ActiveModel {
            state: Set(EnrollmentState::CheckedOut.as_str().to_owned()),
            checked_out_at: Set(Some(to_millis(now))),
            ..ActiveModel::default()
        };
        let still_in = Condition::all()
            .add(Column::Id.is_in(&channels))
            .add(Column::State.ne(EnrollmentState::CheckedOut.as_str()));
        update(&tx, still_in, change).await?;
        standings::end(&tx, &person).await?;
        outbox::withdraw(&tx, &channels).await?;
        self.note(&tx, now).await?;
        tx.commit().await?;
        Ok(CheckOutOutcome::CheckedOut)
    }

    fn tokens(
        &self,
        id: &str,
        message: TokenUpdate<'_>,
        channel: &Model,
        now: SystemTime,
    ) -> ActiveModel {
        let mut change = ActiveModel {
            state: Set(EnrollmentState::Enrolled.as_str().to_owned()),
            topic: Set(message.topic.to_owned()),
            token: Set(Some(self.seal(secret("token", &[id]), message.token))),
            push_magic: Set(Some(
                self.seal(secret("push_magic", &[id]), message.push_magic.as_bytes()),
            )),
            token_updates: Set(channel.token_updates.saturating_add(1)),
            token_updated_at: Set(Some(to_millis(now))),
            token_dead_at: Set(None),
            enrolled_at: Set(channel.enrolled_at.or(Some(to_millis(now)))),
            checked_out_at: Set(None),
            ..ActiveModel::default()
        };
        if let Some(unlock_token) = message.unlock_token {
            change.unlock_token = Set(Some(self.seal(secret("unlock_token", &[id]), unlock_token)));
        }
        if let Some(awaiting) = message.awaiting_configuration {
            change.awaiting_configuration = Set(Some(awaiting));
        }
        change
    }
}

/// All channels of a device use its certificate and belong to the person who enrolled it.
async fn insert_user_channel(
    tx: &DatabaseTransaction,
    device: &Model,
    id: &str,
    user_id: &str,
    now: SystemTime,
) -> Result<Model, StoreError> {
    let row = Model {
        id: id.to_owned(),
        user_id: Some(user_id.to_owned()),
        state: EnrollmentState::Pending.as_str().to_owned(),
        token: None,
        push_magic: None,
        unlock_token: None,
        awaiting_configuration: None,
        token_updates: 0,
        command_seq: 0,
        version: 0,
        created_at: to_millis(now),
        enrolled_at: None,
        last_seen_at: None,
        checked_out_at: None,
        last_push_at: None,
        last_push_result: None,
        token_updated_at: None,
        token_dead_at: None,
        // What the device says about itself stands in its own row alone.
        serial: None,
        product: None,
        model: None,
        model_name: None,
        device_name: None,
        os_version: None,
        build_version: None,
        imei: None,
        meid: None,
        ..device.clone()
    };
    Entity::insert(row.clone().into_active_model())
        .exec_without_returning(tx)
        .await?;
    Ok(row)
}
