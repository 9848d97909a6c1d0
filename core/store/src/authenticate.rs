//! What Authenticate changes. The other check-in messages are in `tokens`.

use std::time::SystemTime;

use sea_orm::{ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel};
use uuid::Uuid;

use crate::certificates::{self, BindOutcome};
use crate::enrollments::{EnrollmentState, channels_of, lock, lock_all, update};
use crate::entity::enrollment::{ActiveModel, Column, Entity, Model};
use crate::instant::to_millis;
use crate::turn::take_turn;
use crate::{PersonKey, Store, StoreError, delivery, outbox, standings};

/// What a device says about itself in Authenticate. Absent keys are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnrollmentFacts {
    /// `SerialNumber`.
    pub serial: Option<String>,
    /// `ProductName`, as in `iPhone14,5`.
    pub product: Option<String>,
    /// `Model`.
    pub model: Option<String>,
    /// `ModelName`, as in `iPhone`.
    pub model_name: Option<String>,
    /// `DeviceName`, the name that its owner gave it.
    pub device_name: Option<String>,
    /// `OSVersion`.
    pub os_version: Option<String>,
    /// `BuildVersion`.
    pub build_version: Option<String>,
    /// `IMEI`.
    pub imei: Option<String>,
    /// `MEID`.
    pub meid: Option<String>,
}

/// Why a device sends Authenticate. The message does not say; the certificate that signed it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Its certificate comes from a new enrollment session. What was queued before is not meant for it: an old EraseDevice
    /// must not run.
    FreshEnrollment,
    /// The profile was renewed. Queue and tokens stay.
    Renewal,
}

/// An Authenticate message, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticateRow {
    /// The UDID.
    pub device_id: String,
    /// The session that the certificate came out of.
    pub session_id: Option<Uuid>,
    /// The directory that knows the person.
    pub directory: String,
    /// The person's lasting id in it.
    pub person_id: String,
    /// What the person is called.
    pub person_name: String,
    /// The push topic.
    pub topic: String,
    /// The fingerprint of the identity certificate that signed the message.
    pub certificate: String,
    /// What else the message says.
    pub facts: EnrollmentFacts,
}

/// What became of [`Store::authenticate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticateOutcome {
    /// The device is new here.
    Created,
    /// A known device starts over: its tokens are gone and its queues, user channels included, cleared.
    Restarted {
        /// How many commands were cleared.
        cleared: u64,
    },
    /// A known device has another certificate; everything else stays.
    Renewed,
    /// The certificate speaks for another device; nothing changed.
    BoundToAnother {
        /// That device's UDID.
        device_id: String,
    },
    /// The certificate is not on record; nothing changed.
    UnknownCertificate,
    /// The certificate was issued before the one that the device has now, or before the device checked out or was released: it is of
    /// an enrollment or a renewal that is over. Nothing changed.
    Superseded,
    /// Another person enrolled the device, and nobody has released it. Nothing changed.
    OfAnotherPerson,
}

impl Store {
    /// Authenticate: binds the certificate to the device and makes or changes its enrollment, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`], [`StoreError::Database`].
    #[tracing::instrument(name = "store: authenticate", level = "debug", skip_all)]
    pub async fn authenticate(
        &self,
        message: AuthenticateRow,
        occasion: Occasion,
        now: SystemTime,
    ) -> Result<AuthenticateOutcome, StoreError> {
        let session_id = message.session_id.map(|id| id.to_string());
        let person = PersonKey {
            directory: message.directory.clone(),
            person_id: message.person_id.clone(),
        };
        let tx = self.begin().await?;
        take_turn(&tx, "enrollment", &[&message.device_id]).await?;
        match certificates::bind(&tx, &message.certificate, &message.device_id).await? {
            BindOutcome::Bound | BindOutcome::AlreadyBound => {}
            BindOutcome::BoundToAnother { device_id } => {
                return Ok(AuthenticateOutcome::BoundToAnother { device_id });
            }
            BindOutcome::Unknown => return Ok(AuthenticateOutcome::UnknownCertificate),
        }
        let outcome = match lock(&tx, &message.device_id).await? {
            None => {
                let row = new_device(message, now);
                Entity::insert(row.into_active_model())
                    .exec_without_returning(&tx)
                    .await?;
                AuthenticateOutcome::Created
            }
            Some(known) if is_superseded(&tx, &message, &known).await? => {
                return Ok(AuthenticateOutcome::Superseded);
            }
            Some(known) if is_of_another(&message, &known)? => {
                return Ok(AuthenticateOutcome::OfAnotherPerson);
            }
            // The same message may have come by another node since it was looked at.
            Some(known) if known.session_id.is_some() && known.session_id == session_id => {
                renew(&tx, message, known).await?;
                AuthenticateOutcome::Renewed
            }
            Some(known) => match occasion {
                Occasion::FreshEnrollment => {
                    let cleared = restart(&tx, message, now).await?;
                    AuthenticateOutcome::Restarted { cleared }
                }
                Occasion::Renewal => {
                    renew(&tx, message, known).await?;
                    AuthenticateOutcome::Renewed
                }
            },
        };
        standings::begin(&tx, &person).await?;
        tx.commit().await?;
        Ok(outcome)
    }
}

/// Whether somebody else has the device: a UDID is only what a device says, and no way to take another person's away.
fn is_of_another(message: &AuthenticateRow, known: &Model) -> Result<bool, StoreError> {
    let same = (&known.directory, &known.person_id) == (&message.directory, &message.person_id);
    Ok(!same && EnrollmentState::read(&known.state)? != EnrollmentState::CheckedOut)
}

/// Whether the device has a later certificate than the one that speaks, or has left since that one was issued: an identity ends with
/// its enrollment.
async fn is_superseded(
    tx: &DatabaseTransaction,
    message: &AuthenticateRow,
    known: &Model,
) -> Result<bool, StoreError> {
    let Some(current) = &known.certificate else {
        return Ok(false);
    };
    let current = certificates::find(tx, current).await?;
    let Some(speaking) = certificates::find(tx, &message.certificate).await? else {
        return Ok(false);
    };
    let left_since = known
        .checked_out_at
        .is_some_and(|left| to_millis(speaking.issued_at) <= left);
    Ok(left_since || current.is_some_and(|current| speaking.issued_at < current.issued_at))
}

/// A device that starts over: its row as if it were new, its user channels waiting for their users, all queues cleared.
async fn restart(
    tx: &DatabaseTransaction,
    message: AuthenticateRow,
    now: SystemTime,
) -> Result<u64, StoreError> {
    let device_id = message.device_id.clone();
    let forget = ActiveModel {
        // All channels of a device are of the person who enrolled it, whoever had it before.
        directory: Set(message.directory.clone()),
        person_id: Set(message.person_id.clone()),
        person_name: Set(message.person_name.clone()),
        state: Set(EnrollmentState::Pending.as_str().to_owned()),
        token: Set(None),
        push_magic: Set(None),
        unlock_token: Set(None),
        token_updated_at: Set(None),
        token_dead_at: Set(None),
        awaiting_configuration: Set(None),
        token_updates: Set(0),
        enrolled_at: Set(None),
        checked_out_at: Set(None),
        ..ActiveModel::default()
    };
    let channels = channels_of(tx, &device_id).await?;
    lock_all(tx, channels.iter().map(String::as_str)).await?;
    update(tx, Column::DeviceId.eq(&device_id), forget).await?;
    let change = description(message, EnrollmentFacts::default());
    update(tx, Column::Id.eq(&device_id), change).await?;
    let cleared = delivery::clear(tx, &channels, now).await?;
    outbox::withdraw(tx, &channels).await?;
    Ok(cleared)
}

/// A renewal: the new certificate, and what the device says about itself. One that had checked out has to send its tokens
/// before it is enrolled again.
async fn renew(
    tx: &DatabaseTransaction,
    message: AuthenticateRow,
    known: Model,
) -> Result<(), StoreError> {
    let device_id = message.device_id.clone();
    let checked_out = EnrollmentState::read(&known.state)? == EnrollmentState::CheckedOut;
    let mut change = description(message, facts_of(known));
    if checked_out {
        change.state = Set(EnrollmentState::Pending.as_str().to_owned());
        change.checked_out_at = Set(None);
    }
    update(tx, Column::Id.eq(&device_id), change).await
}

/// The columns that Authenticate brings; what the message leaves out stays as in `before`.
fn description(message: AuthenticateRow, before: EnrollmentFacts) -> ActiveModel {
    let facts = message.facts;
    ActiveModel {
        session_id: Set(message.session_id.map(|id| id.to_string())),
        directory: Set(message.directory),
        person_id: Set(message.person_id),
        person_name: Set(message.person_name),
        topic: Set(message.topic),
        certificate: Set(Some(message.certificate)),
        serial: Set(facts.serial.or(before.serial)),
        product: Set(facts.product.or(before.product)),
        model: Set(facts.model.or(before.model)),
        model_name: Set(facts.model_name.or(before.model_name)),
        device_name: Set(facts.device_name.or(before.device_name)),
        os_version: Set(facts.os_version.or(before.os_version)),
        build_version: Set(facts.build_version.or(before.build_version)),
        imei: Set(facts.imei.or(before.imei)),
        meid: Set(facts.meid.or(before.meid)),
        ..ActiveModel::default()
    }
}

fn facts_of(row: Model) -> EnrollmentFacts {
    EnrollmentFacts {
        serial: row.serial,
        product: row.product,
        model: row.model,
        model_name: row.model_name,
        device_name: row.device_name,
        os_version: row.os_version,
        build_version: row.build_version,
        imei: row.imei,
        meid: row.meid,
    }
}

fn new_device(message: AuthenticateRow, now: SystemTime) -> Model {
    let facts = message.facts;
    Model {
        id: message.device_id.clone(),
        device_id: message.device_id,
        user_id: None,
        session_id: message.session_id.map(|id| id.to_string()),
        directory: message.directory,
        person_id: message.person_id,
        person_name: message.person_name,
        state: EnrollmentState::Pending.as_str().to_owned(),
        topic: message.topic,
        token: None,
        push_magic: None,
        unlock_token: None,
        serial: facts.serial,
        product: facts.product,
        model: facts.model,
        model_name: facts.model_name,
        device_name: facts.device_name,
        os_version: facts.os_version,
        build_version: facts.build_version,
        imei: facts.imei,
        meid: facts.meid,
        certificate: Some(message.certificate),
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
    }
}
