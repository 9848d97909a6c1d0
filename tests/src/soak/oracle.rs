//! What the outside was told, and what the server says of it afterwards.
//!
//! Only what was answered counts: a device whose TokenUpdate got its 200 is enrolled, a command whose UUID came back is queued, and a result
//! that got its 200 is the last word about its command. The server may know more, and never less.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;

use super::{operator::Administration, wire::Kind};

/// Something that the server was caught at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A device that was told that it is enrolled is not, or under another certificate.
    DeviceLost {
        /// Its UDID.
        device: String,
        /// What the server says of it.
        found: String,
    },
    /// A command that was queued is not there.
    CommandLost {
        /// Its CommandUUID.
        command: String,
    },
    /// A result that was taken is not there.
    AnswerLost {
        /// The command's CommandUUID.
        command: String,
        /// The state that the server says it is in.
        found: String,
    },
    /// A command came after its result was taken.
    DeliveredAgain {
        /// Its CommandUUID.
        command: String,
    },
    /// The same request for a certificate got another one, or more than one is stored.
    IssuedTwice {
        /// For whom.
        whom: String,
    },
    /// A device has commands that nobody asked for.
    Unasked {
        /// Its UDID.
        device: String,
        /// How many, beyond those that were asked for.
        commands: usize,
    },
    /// A request was answered otherwise than with a 200.
    Refused {
        /// What it was for.
        kind: Kind,
        /// The answer.
        said: String,
    },
    /// A device could not go on with what it was answered.
    Broken {
        /// Why.
        said: String,
    },
    /// Not everything was done in time.
    Unsettled {
        /// Devices that are not enrolled.
        devices: usize,
        /// Commands that are not done.
        commands: usize,
    },
}

/// What is enough to know how far all is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) enrolled: usize,
    pub(super) queued: usize,
    pub(super) settled: usize,
}

#[derive(Default)]
pub(super) struct Oracle(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// SHA-256 of its certificate, by UDID.
    devices: HashMap<String, String>,
    udids: Vec<String>,
    commands: HashMap<String, Ordered>,
    /// By UDID: how many commands were asked for, of which some were confirmed.
    asked: HashMap<String, usize>,
    progress: Progress,
    fresh: Fresh,
    complaints: Vec<Complaint>,
}

#[derive(Default)]
struct Ordered {
    device: String,
    /// Whether the operator knows of it: the device may be faster.
    confirmed: bool,
    /// The state that comes of the result that was taken.
    said: Option<&'static str>,
}

/// The commands of one device.
#[derive(Default)]
struct Queue {
    asked: usize,
    /// Those that are known of: CommandUUID, and the state that comes of the result that was taken.
    commands: Vec<(String, Option<&'static str>)>,
}

/// What was learnt last: it is what a kill may cost. All that was learnt before is compared at the end.
#[derive(Default)]
struct Fresh {
    devices: VecDeque<String>,
    commands: VecDeque<String>,
}

/// Of devices as of commands: looking at all after each kill would be most of what the server does.
const FRESH: usize = 12;

fn push(fresh: &mut VecDeque<String>, learnt: &str) {
    if fresh.len() == FRESH {
        fresh.pop_front();
    }
    fresh.push_back(learnt.to_owned());
}

impl Oracle {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn complain(&self, complaint: Complaint) {
        let mut books = self.books();
        // One that repeats itself says nothing new.
        if !books.complaints.contains(&complaint) {
            books.complaints.push(complaint);
        }
    }

    pub(super) fn complaints(&self) -> Vec<Complaint> {
        self.books().complaints.clone()
    }

    pub(super) fn progress(&self) -> Progress {
        self.books().progress
    }

    /// One of the devices that are enrolled.
    pub(super) fn some_device(&self, chance: &mut StdRng) -> Option<String> {
        let books = self.books();
        let count = books.udids.len();
        (count > 0).then(|| books.udids[chance.random_range(0..count)].clone())
    }

    pub(super) fn enrolled(&self, device: &str, certificate: String) {
        let mut books = self.books();
        books.devices.insert(device.to_owned(), certificate);
        books.udids.push(device.to_owned());
        push(&mut books.fresh.devices, device);
        books.progress.enrolled += 1;
    }

    pub(super) fn queued(&self, device: &str, command: &str) {
        let mut books = self.books();
        let ordered = books.commands.entry(command.to_owned()).or_default();
        device.clone_into(&mut ordered.device);
        ordered.confirmed = true;
        let is_settled = ordered.said.is_some();
        push(&mut books.fresh.commands, command);
        books.progress.queued += 1;
        books.progress.settled += usize::from(is_settled);
    }

    /// An operator asks for a command.
    pub(super) fn asked(&self, device: &str) {
        *self.books().asked.entry(device.to_owned()).or_default() += 1;
    }

    /// A command came to its device.
    pub(super) fn delivered(&self, command: &str) {
        let is_over = {
            let books = self.books();
            let known = books.commands.get(command);
            known.is_some_and(|known| known.said.is_some())
        };
        if is_over {
            let command = command.to_owned();
            self.complain(Complaint::DeliveredAgain { command });
        }
    }

    /// A device heard that its result was taken.
    pub(super) fn settled(&self, device: &str, command: &str, said: &'static str) {
        let mut books = self.books();
        let ordered = books.commands.entry(command.to_owned()).or_default();
        device.clone_into(&mut ordered.device);
        ordered.said = Some(said);
        let is_counted = ordered.confirmed;
        push(&mut books.fresh.commands, command);
        books.progress.settled += usize::from(is_counted);
    }

    /// Compares what was learnt last.
    pub(super) async fn check_fresh(&self, server: &Administration) -> Result<(), String> {
        let Fresh { devices, commands } = std::mem::take(&mut self.books().fresh);
        for device in devices {
            self.check_device(server, &device).await?;
        }
        // More than one thing may have been learnt about one.
        for command in BTreeSet::from_iter(commands) {
            self.check_command(server, &command).await?;
        }
        Ok(())
    }

    /// Compares everything.
    pub(super) async fn check_everything(&self, server: &Administration) -> Result<(), String> {
        let mut queues: HashMap<String, Queue> = HashMap::new();
        {
            let books = self.books();
            for device in &books.udids {
                let asked = books.asked.get(device).copied().unwrap_or(0);
                let commands = Vec::new();
                queues.insert(device.clone(), Queue { asked, commands });
            }
            for (uuid, ordered) in &books.commands {
                let queue = queues.entry(ordered.device.clone()).or_default();
                queue.commands.push((uuid.clone(), ordered.said));
            }
        }
        for (device, queue) in queues {
            self.check_device(server, &device).await?;
            self.check_queue(server, &device, &queue).await?;
        }
        Ok(())
    }

    async fn check_device(&self, server: &Administration, device: &str) -> Result<(), String> {
        let certificate = self.books().devices.get(device).cloned();
        let (status, found) = server.get(&format!("/api/v1/devices/{device}")).await?;
        let stands = status == 200
            && found["state"] == "enrolled"
            && found["has_push_tokens"] == true
            && found["certificate_sha256"].as_str() == certificate.as_deref();
        if !stands {
            self.complain(Complaint::DeviceLost {
                device: device.to_owned(),
                found: match found["state"].as_str() {
                    Some(state) => format!("{state}, under {}", found["certificate_sha256"]),
                    None => format!("{status}"),
                },
            });
        }
        Ok(())
    }

    async fn check_command(&self, server: &Administration, command: &str) -> Result<(), String> {
        let path = format!("/api/v1/commands/{command}");
        // What is known is known before the server is asked, which may learn more meanwhile.
        let said = self
            .books()
            .commands
            .get(command)
            .and_then(|known| known.said);
        let (status, mut found) = server.get(&path).await?;
        match status {
            200 => self.compare(command, said, &found["commands"][0].take()),
            404 => self.complain(Complaint::CommandLost {
                command: command.to_owned(),
            }),
            other => return Err(format!("{path}: {other} {found}")),
        }
        Ok(())
    }

    fn compare(&self, command: &str, said: Option<&str>, found: &Value) {
        let state = found["state"].as_str().unwrap_or_default();
        if said.is_some_and(|said| said != state) {
            self.complain(Complaint::AnswerLost {
                command: command.to_owned(),
                found: state.to_owned(),
            });
        }
    }

    /// All commands of a device: those that are known of, and not more than were asked for.
    async fn check_queue(
        &self,
        server: &Administration,
        device: &str,
        queue: &Queue,
    ) -> Result<(), String> {
        let path = format!("/api/v1/devices/{device}/commands?limit=1000");
        let (_, found) = server.get(&path).await?;
        let listed = found["commands"].as_array().into_iter().flatten();
        let listed: HashMap<&str, &Value> = listed
            .filter_map(|command| Some((command["uuid"].as_str()?, command)))
            .collect();
        for (uuid, said) in &queue.commands {
            match listed.get(uuid.as_str()) {
                Some(found) => self.compare(uuid, *said, found),
                // Lost, or beyond the page.
                None => self.check_command(server, uuid).await?,
            }
        }
        let beyond = listed.len().saturating_sub(queue.asked);
        if beyond > 0 {
            self.complain(Complaint::Unasked {
                device: device.to_owned(),
                commands: beyond,
            });
        }
        Ok(())
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeviceLost { device, found } => {
                write!(
                    f,
                    "device {device} got its last 200, and the server says: {found}"
                )
            }
            Self::CommandLost { command } => write!(f, "command {command} was queued, and is gone"),
            Self::AnswerLost { command, found } => write!(
                f,
                "the result of command {command} was taken, and the command is {found}"
            ),
            Self::DeliveredAgain { command } => {
                write!(f, "command {command} came after its result was taken")
            }
            Self::IssuedTwice { whom } => write!(f, "{whom}: more than one certificate"),
            Self::Unasked { device, commands } => {
                write!(
                    f,
                    "device {device} has {commands} commands that nobody queued"
                )
            }
            Self::Refused { kind, said } => write!(f, "{}: {said}", kind.name()),
            Self::Broken { said } => write!(f, "a device could not go on: {said}"),
            Self::Unsettled { devices, commands } => write!(
                f,
                "{devices} devices are not enrolled and {commands} commands not done in time"
            ),
        }
    }
}
