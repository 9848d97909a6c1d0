//! What operators do with devices and commands.

use lanyard_commands::{ClearPasscode, Command, CommandError, RawCommand};
use lanyard_mdm::{
    connect,
    document::{self, Limits},
};
use lanyard_policy::{Attestation, CommandRequest, HookPoint, Occurrence};
use lanyard_store::{
    CancelOutcome, CheckOutOutcome, CommandFilter, CommandSummary, DecisionRecord, EnqueueOutcome,
    Enrollment, MAX_PAGE, NewCommand, ScheduleOutcome, Store, StoreError,
};
use plist::Dictionary;
use uuid::Uuid;

use crate::{CeilingReached, Engine, Refusal, refusal::chain, stable_uuid::stable_uuid};

/// Who a command comes from that no hook issued.
pub(crate) const OPERATOR: &str = "operator";

/// Delivered without asking command-selection when an operator queued them: no plugin stands between an operator and a wipe.
pub(crate) const BYPASS_SELECTION: [&str; 3] = ["EraseDevice", "DeviceLock", "EnableLostMode"];

/// Who wants a command.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Operator,
    Plugin {
        binding: &'a str,
        /// Id of the decision that it came of.
        decision: &'a str,
    },
}

/// What became of a command that a hook wanted.
pub(crate) enum Issued {
    /// It is queued under this CommandUUID.
    Queued(String),
    /// It was queued before, by the same wish.
    Before,
}

/// A command that an operator sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its CommandUUID.
    pub uuid: Uuid,
    /// Whether the catalogue knows it, so that its keys were looked at.
    pub checked: bool,
    /// Whether the device is woken for it; without a push certificate it waits until the device connects by itself.
    pub wakes: bool,
}

/// A command is not queued, or not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CommandRefused {
    /// The command is not one that a device would take.
    #[error("the command is not valid")]
    Invalid(#[from] CommandError),
    /// A hook wants more than it was granted.
    #[error("the hook may not issue it")]
    Ceiling(#[from] CeilingReached),
    /// It has no form that could be sent.
    #[error("the command cannot be sent: {0}")]
    Unsendable(String),
    /// It may destroy what is on a device.
    #[error("a command that may destroy what is on a device is not sent to all: name the devices")]
    NotToAll,
    /// It is for more devices than are served at once.
    #[error("{0} devices are named; at once, a command goes to {MAX_PAGE} at most")]
    TooMany(usize),
    /// No such device.
    #[error("there is no enrolled device {0}")]
    UnknownDevice(String),
    /// It checked out.
    #[error("the device {0} has checked out: nothing would ever fetch a command")]
    CheckedOut(String),
    /// ClearPasscode without what it needs.
    #[error(
        "the device {0} never sent an unlock token, so its passcode cannot be cleared from here"
    )]
    NoUnlockToken(String),
    /// There is nothing to wake it with.
    #[error("the device {0} cannot be woken: it has left no push tokens, or has checked out")]
    NotReachable(String),
    /// Nobody can be woken.
    #[error("no device can be woken: [push] in lanyard.toml names no push certificate")]
    NoPush,
    /// No such command.
    #[error("there is no command {0}")]
    UnknownCommand(String),
    /// Too late.
    #[error("the command {uuid} cannot be cancelled any more: it is {state}")]
    TooLate {
        /// CommandUUID.
        uuid: String,
        /// Where it stands.
        state: String,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// What happened could not be noted for those who hear of it.
    #[error(transparent)]
    Failed(#[from] Refusal),
}

impl Engine {
    /// Enrollments by id, from the one after `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn devices(
        &self,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<Enrollment>, StoreError> {
        self.store().list_enrollments(after, limit).await
    }

    /// The push topics of everything that has not checked out, and how many channels each has.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn topics_in_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.store().topics_in_use().await
    }

    /// Who vouched for the device when it enrolled, if that is still on record.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn attestation(
        &self,
        device: &Enrollment,
    ) -> Result<Option<Attestation>, StoreError> {
        let Some(session) = device.session_id else {
            return Ok(None);
        };
        let session = self.store().find_session(session).await?;
        let attestation = session.and_then(|session| session.attestation);
        Ok(attestation.and_then(|attestation| serde_json::from_value(attestation).ok()))
    }

    /// One enrollment.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn device(&self, id: &str) -> Result<Option<Enrollment>, StoreError> {
        self.store().find_enrollment(id).await
    }

    /// Releases a device, as if it had checked out: nothing is pushed to it any more, and another person may enroll it.
    ///
    /// # Errors
    /// [`CommandRefused`]
    pub async fn release_device(&self, device: &str) -> Result<(), CommandRefused> {
        let now = self.now();
        let released = Occurrence::CheckedOut {
            enrollment: device.to_owned(),
        };
        let store = self.noting(released, now)?;
        match store.check_out(device, None, now).await? {
            CheckOutOutcome::CheckedOut | CheckOutOutcome::AlreadyCheckedOut => {
                self.0.events.notify_one();
                tracing::info!(enrollment = device, "released by an operator");
                Ok(())
            }
            CheckOutOutcome::Unknown | CheckOutOutcome::OtherCertificate => {
                Err(CommandRefused::UnknownDevice(device.to_owned()))
            }
        }
    }

    /// A device's commands, latest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn commands(
        &self,
        device: &str,
        limit: u64,
    ) -> Result<Vec<CommandSummary>, StoreError> {
        self.write_sent().await?;
        self.store().list_commands(device, None, limit).await
    }

    /// Commands of all devices, latest first.
    ///
    /// # Errors
    /// [`CommandRefused::UnknownDevice`], [`CommandRefused::Store`]
    pub async fn all_commands(
        &self,
        filter: CommandFilter<'_>,
        limit: u64,
    ) -> Result<Vec<CommandSummary>, CommandRefused> {
        self.write_sent().await?;
        let commands = self.store().list_all_commands(filter, limit).await?;
        match filter.enrollment_id {
            Some(id) if commands.is_empty() && self.device(id).await?.is_none() => {
                Err(CommandRefused::UnknownDevice(id.to_owned()))
            }
            _ => Ok(commands),
        }
    }

    /// The commands that have this CommandUUID, with what was answered.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn command(&self, uuid: &str) -> Result<Vec<lanyard_store::Command>, StoreError> {
        self.write_sent().await?;
        let mut commands = Vec::new();
        for summary in self.store().find_commands_by_uuid(uuid).await? {
            commands.extend(
                self.store()
                    .find_command(&summary.enrollment_id, uuid)
                    .await?,
            );
        }
        Ok(commands)
    }

    /// Queues a command for a device and wakes it. `request` is what stands under `Command`: `RequestType` and its keys. A
    /// ClearPasscode without an unlock token gets the one that the device left. With `unchecked`, a command of the catalogue goes as
    /// it is, too.
    ///
    /// # Errors
    /// [`CommandRefused`]
    pub async fn send_command(
        &self,
        device: &str,
        request: &Dictionary,
        unchecked: bool,
    ) -> Result<Sent, CommandRefused> {
        let command = if needs_unlock_token(request) {
            self.clear_passcode(device).await?
        } else {
            parsed(request, unchecked)?
        };
        let uuid = Uuid::new_v4();
        match self
            .enqueue(self.store(), device, uuid, &command, Origin::Operator)
            .await?
        {
            EnqueueOutcome::Queued { .. } => Ok(Sent {
                uuid,
                checked: !matches!(command, Command::Raw(_)),
                wakes: !self.topics().is_empty(),
            }),
            EnqueueOutcome::UnknownEnrollment => {
                Err(CommandRefused::UnknownDevice(device.to_owned()))
            }
            EnqueueOutcome::CheckedOut => Err(CommandRefused::CheckedOut(device.to_owned())),
            EnqueueOutcome::UuidTaken => Err(CommandRefused::Unsendable(
                "its UUID was drawn before".to_owned(),
            )),
        }
    }

    /// Queues a command that a hook wants, checked as if an operator had sent it. Its CommandUUID goes by binding,
    /// enrollment and dedupe key, so that the same wish is the same command. The record of the decision is written with it.
    pub(crate) async fn issue_command(
        &self,
        enrollment: &str,
        by: (HookPoint, &str),
        decision: &str,
        record: Option<DecisionRecord>,
        wanted: &CommandRequest,
    ) -> Result<Issued, CommandRefused> {
        let request = document::read(wanted.command_plist.as_bytes(), Limits::default())
            .map_err(|error| unsendable(&error))?;
        let command = Command::from_dictionary(&request)?;
        if command.request_type() != wanted.request_type {
            return Err(CommandRefused::Unsendable(format!(
                "it is announced as {:?} and is {:?}",
                wanted.request_type,
                command.request_type()
            )));
        }
        let hooks = self.hooks();
        let is_destructive = command.is_destructive();
        hooks
            .ceilings
            .check_kind(by, command.request_type(), is_destructive)?;
        let (point, binding) = by;
        let wish = format!("{point}\0{binding}\0{enrollment}\0{}", wanted.dedupe_key);
        let uuid = stable_uuid(wish.as_bytes());
        let wished = self.store().was_wished(enrollment, &uuid.to_string()).await;
        if wished? {
            return Ok(Issued::Before);
        }
        let exchanges = &self.0.exchanges;
        hooks.ceilings.count(by, exchanges.issued(enrollment))?;
        exchanges.issue(enrollment);
        let origin = Origin::Plugin { binding, decision };
        let store = self.carrying(record);
        match self
            .enqueue(&store, enrollment, uuid, &command, origin)
            .await?
        {
            EnqueueOutcome::UuidTaken => Ok(Issued::Before),
            EnqueueOutcome::Queued { .. } => Ok(Issued::Queued(uuid.to_string())),
            EnqueueOutcome::UnknownEnrollment => {
                Err(CommandRefused::UnknownDevice(enrollment.to_owned()))
            }
            EnqueueOutcome::CheckedOut => Err(CommandRefused::CheckedOut(enrollment.to_owned())),
        }
    }

    async fn enqueue(
        &self,
        store: &Store,
        enrollment: &str,
        uuid: Uuid,
        command: &Command,
        origin: Origin<'_>,
    ) -> Result<EnqueueOutcome, CommandRefused> {
        let payload = connect::Command::new(uuid.to_string(), command.to_dictionary())
            .map_err(|error| unsendable(&error))?
            .to_xml()
            .map_err(|error| unsendable(&error))?;
        let (by, decision) = match origin {
            Origin::Operator => (OPERATOR, None),
            Origin::Plugin { binding, decision } => (binding, Some(decision)),
        };
        let new = NewCommand {
            enrollment_id: enrollment,
            uuid: &uuid.to_string(),
            request_type: command.request_type(),
            payload: &payload,
            origin: by,
            decision,
            bypass: matches!(origin, Origin::Operator)
                && BYPASS_SELECTION.contains(&command.request_type()),
        };
        let outcome = store.enqueue(new, self.now()).await?;
        if let EnqueueOutcome::Queued { .. } = outcome {
            self.metrics().queued(matches!(origin, Origin::Operator), 1);
            let request_type = command.request_type();
            tracing::info!(enrollment, command = %uuid, request_type, origin = by, decision, "command queued");
            self.0.outbox.notify_one();
        }
        Ok(outcome)
    }

    /// Takes a command back that the device has not been given.
    ///
    /// # Errors
    /// [`CommandRefused`]
    pub async fn cancel_command(&self, uuid: &str) -> Result<(), CommandRefused> {
        self.write_sent().await?;
        let commands = self.store().find_commands_by_uuid(uuid).await?;
        if commands.is_empty() {
            return Err(CommandRefused::UnknownCommand(uuid.to_owned()));
        }
        for command in commands {
            match self
                .store()
                .cancel_command(&command.enrollment_id, uuid, self.now())
                .await?
            {
                CancelOutcome::Cancelled | CancelOutcome::AlreadyCancelled => {}
                CancelOutcome::AlreadyDelivered { state } => {
                    return Err(CommandRefused::TooLate {
                        uuid: uuid.to_owned(),
                        state: state.as_str().to_owned(),
                    });
                }
                CancelOutcome::Unknown => {
                    return Err(CommandRefused::UnknownCommand(uuid.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Wakes a device, whether or not it has a command; and even if APNs called its token dead, which might have been meant for another
    /// configuration than today's.
    ///
    /// # Errors
    /// [`CommandRefused`]
    pub async fn push(&self, device: &str) -> Result<(), CommandRefused> {
        if self.topics().is_empty() {
            return Err(CommandRefused::NoPush);
        }
        self.store().try_token_again(device).await?;
        match self.store().schedule_push(device, self.now()).await? {
            ScheduleOutcome::Scheduled => {
                self.0.outbox.notify_one();
                Ok(())
            }
            ScheduleOutcome::NotReachable => Err(CommandRefused::NotReachable(device.to_owned())),
            ScheduleOutcome::UnknownEnrollment => {
                Err(CommandRefused::UnknownDevice(device.to_owned()))
            }
        }
    }
}

/// The command that a request asks for; with `unchecked`, one of the catalogue goes as it is, too.
pub(crate) fn parsed(request: &Dictionary, unchecked: bool) -> Result<Command, CommandError> {
    if unchecked {
        Ok(RawCommand::from_dictionary(request.clone())?.into())
    } else {
        Command::from_dictionary(request)
    }
}

pub(crate) fn unsendable(error: &(dyn std::error::Error + 'static)) -> CommandRefused {
    CommandRefused::Unsendable(chain(error))
}

pub(crate) fn needs_unlock_token(request: &Dictionary) -> bool {
    let kind = request.get("RequestType").and_then(plist::Value::as_string);
    kind == Some(ClearPasscode::REQUEST_TYPE) && !request.contains_key("UnlockToken")
}
