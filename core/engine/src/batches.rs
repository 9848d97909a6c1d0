//! One command for many devices. A batch has a name, out of which each device's CommandUUID follows: whoever repeats a batch that was broken
//! off sends the command to those who have not got it, and to nobody twice.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_commands::{ClearPasscode, Command, UnlockToken};
use lanyard_mdm::connect::Template;
use lanyard_store::{BatchCommand, EnqueueOutcome, MAX_PAGE, NewBatch};
use plist::Dictionary;
use uuid::Uuid;

use crate::{
    CommandRefused, Engine,
    administration::{BYPASS_SELECTION, OPERATOR, needs_unlock_token, parsed, unsendable},
    stable_uuid::stable_uuid,
};

/// Whom a command is for.
#[derive(Clone, Debug)]
pub enum Recipients {
    /// These, at most [`MAX_PAGE`].
    Devices(BTreeSet<String>),
    /// Every device that has not checked out, in the order of their ids, from the one after this: as many as are served at once.
    AllAfter(Option<String>),
}

/// What became of a batch, or of a part of one.
#[derive(Debug)]
pub struct BatchSent {
    /// The devices that have the command in their queues, or had it by the same batch before, and its CommandUUID there.
    pub queued: Vec<(String, String)>,
    /// How many of them had it before.
    pub before: u64,
    /// The others, and why.
    pub refused: Vec<(String, CommandRefused)>,
    /// [`Recipients::AllAfter`] what comes next, if there are more.
    pub next: Option<String>,
    /// Whether the catalogue knows the command, so that its keys were looked at.
    pub checked: bool,
    /// Whether devices are woken for it.
    pub wakes: bool,
}

/// The CommandUUIDs of a batch. Neither what is sent nor when is in them: the same batch again has the same.
struct Uuids {
    batch: String,
    request_type: String,
}

impl Uuids {
    fn of(&self, device: &str) -> Uuid {
        let Self {
            batch,
            request_type,
        } = self;
        stable_uuid(format!("batch\0{batch}\0{request_type}\0{device}").as_bytes())
    }
}

/// Commands as they will be sent, and those who cannot have one.
type Written = (
    BTreeMap<String, BatchCommand>,
    Vec<(String, CommandRefused)>,
);

impl Engine {
    /// Queues a command for many devices and wakes them, in one transaction. `name` is the batch's: a device that has a command of this
    /// type and batch already keeps it. `request` and `unchecked` are those of [`send_command`](Self::send_command).
    ///
    /// # Errors
    /// [`CommandRefused`], if it is not for anybody; what is wrong with one device keeps the command from no other.
    pub async fn send_batch(
        &self,
        name: &str,
        to: Recipients,
        request: &Dictionary,
        unchecked: bool,
    ) -> Result<BatchSent, CommandRefused> {
        // What is peculiar to a device is looked at with the device.
        let command = if needs_unlock_token(request) {
            None
        } else {
            Some(parsed(request, unchecked)?)
        };
        let destroys = command.as_ref().is_none_or(Command::is_destructive);
        let (devices, next) = match to {
            Recipients::AllAfter(_) if destroys => return Err(CommandRefused::NotToAll),
            Recipients::AllAfter(after) => self.part_of_all(after.as_deref()).await?,
            Recipients::Devices(devices) if devices.len() as u64 > MAX_PAGE => {
                return Err(CommandRefused::TooMany(devices.len()));
            }
            Recipients::Devices(devices) => (devices, None),
        };
        let (request_type, checked) = match &command {
            Some(command) => (
                command.request_type().to_owned(),
                !matches!(command, Command::Raw(_)),
            ),
            None => (ClearPasscode::REQUEST_TYPE.to_owned(), true),
        };
        let uuids = Uuids {
            batch: name.to_owned(),
            request_type: request_type.clone(),
        };
        let (each, mut refused) = match command {
            Some(command) => {
                let request = command.to_dictionary();
                self.compute(move |_| written(devices, &uuids, request))
                    .await??
            }
            None => self.written_with_tokens(devices, &uuids).await?,
        };
        let batch = NewBatch {
            request_type: &request_type,
            origin: OPERATOR,
            bypass: BYPASS_SELECTION.contains(&request_type.as_str()),
            each: &each,
        };
        let outcomes = self.store().enqueue_batch(batch, self.now()).await?;
        let (mut queued, mut before) = (Vec::with_capacity(each.len()), 0);
        for ((device, BatchCommand { uuid, .. }), outcome) in each.into_iter().zip(outcomes) {
            match outcome {
                EnqueueOutcome::Queued { .. } | EnqueueOutcome::UuidTaken => {
                    before += u64::from(outcome == EnqueueOutcome::UuidTaken);
                    queued.push((device, uuid));
                }
                EnqueueOutcome::UnknownEnrollment => {
                    refused.push((device.clone(), CommandRefused::UnknownDevice(device)));
                }
                EnqueueOutcome::CheckedOut => {
                    refused.push((device.clone(), CommandRefused::CheckedOut(device)));
                }
            }
        }
        let (devices, refusals) = (queued.len() as u64 - before, refused.len());
        tracing::info!(
            batch = name,
            devices,
            before,
            refusals,
            request_type,
            origin = OPERATOR,
            "command queued for many"
        );
        self.metrics().queued(true, devices);
        self.0.outbox.notify_one();
        Ok(BatchSent {
            queued,
            before,
            refused,
            next,
            checked,
            wakes: !self.topics().is_empty(),
        })
    }

    async fn part_of_all(
        &self,
        after: Option<&str>,
    ) -> Result<(BTreeSet<String>, Option<String>), CommandRefused> {
        let ids = self.store().managed_devices(after, MAX_PAGE).await?;
        let is_last = (ids.len() as u64) < MAX_PAGE;
        let next = ids.last().filter(|_| !is_last).cloned();
        Ok((ids.into_iter().collect(), next))
    }

    /// ClearPasscode takes the token that each device has left.
    async fn written_with_tokens(
        &self,
        devices: BTreeSet<String>,
        uuids: &Uuids,
    ) -> Result<Written, CommandRefused> {
        let (mut each, mut refused) = (BTreeMap::new(), Vec::new());
        for device in devices {
            match self.clear_passcode(&device).await {
                Ok(command) => {
                    let one = BTreeSet::from([device]);
                    each.append(&mut written(one, uuids, command.to_dictionary())?.0);
                }
                Err(refusal @ CommandRefused::NoUnlockToken(_)) => refused.push((device, refusal)),
                Err(error) => return Err(error),
            }
        }
        Ok((each, refused))
    }

    /// The command that clears a device's passcode.
    pub(crate) async fn clear_passcode(&self, device: &str) -> Result<Command, CommandRefused> {
        let token = self.store().unlock_token(device).await?;
        let token = token.ok_or_else(|| CommandRefused::NoUnlockToken(device.to_owned()))?;
        Ok(Command::from(ClearPasscode {
            unlock_token: UnlockToken::new(token.expose().clone())?,
        }))
    }
}

/// The same for all but for its CommandUUID.
fn written(
    devices: BTreeSet<String>,
    uuids: &Uuids,
    request: Dictionary,
) -> Result<Written, CommandRefused> {
    let template = Template::new(request).map_err(|error| unsendable(&error))?;
    let command = |device: String| {
        let uuid = uuids.of(&device).to_string();
        let payload = template.to_xml(&uuid).map_err(|error| unsendable(&error))?;
        Ok((device, BatchCommand { uuid, payload }))
    };
    let each: Result<_, CommandRefused> = devices.into_iter().map(command).collect();
    Ok((each?, Vec::new()))
}
