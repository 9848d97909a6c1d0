//! Hook point *command-selection*: the device is idle, what next?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Decision, DeviceFacts, HookFailure, PersonRef, Reason};

/// How many commands of a queue a question shows.
pub const SHOWN_QUEUE_LENGTH: usize = 32;

/// Chooses the next command of an idle device. Erase, lock and lost mode that an operator queued are delivered without asking.
#[async_trait]
pub trait CommandSelection: Send + Sync {
    /// Chooses.
    ///
    /// # Errors
    /// After a failure nothing new is issued, and what is queued is delivered in queue order.
    async fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, HookFailure>;
}

/// What should this device do next?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionQuestion {
    /// The occasion.
    pub decision: Decision,
    /// Id of the enrollment: a UDID, or `UDID:UserID` on a user channel.
    pub enrollment: String,
    /// Who enrolled the device.
    pub person: Option<PersonRef>,
    /// The device.
    pub device: DeviceFacts,
    /// The head of the queue in its order, at most [`SHOWN_QUEUE_LENGTH`] commands.
    pub queue: Vec<QueuedCommand>,
    /// How many commands are queued altogether.
    pub queue_length: u64,
    /// What the device last answered, if it ever did.
    pub last_result: Option<CommandResult>,
}

/// A command that waits for its device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedCommand {
    /// `CommandUUID`.
    pub uuid: String,
    /// `RequestType`.
    pub request_type: String,
    /// When it was queued, in milliseconds since the Unix epoch.
    pub queued_at_ms: i64,
    /// Whether the device answered `NotNow` to it.
    pub not_now: bool,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandResult {
    /// `CommandUUID`.
    pub uuid: String,
    /// `RequestType`, if the command is one of ours.
    pub request_type: Option<String>,
    /// `Status`.
    pub status: ResultStatus,
    /// When the answer came, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The first entry of the error chain, if there is one: `MCMDMErrorDomain 12021`.
    pub error: Option<String>,
}

/// `Status` of a device's answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultStatus {
    /// Done.
    Acknowledged,
    /// Tried, and failed.
    Error,
    /// The device could not read the command.
    CommandFormatError,
    /// The device will try later.
    NotNow,
}

/// The choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelectionVerdict {
    /// The queued command of this `CommandUUID`.
    Deliver(String),
    /// A new command, checked as if an operator had sent it.
    Issue(CommandRequest),
    /// Nothing for this long.
    Wait {
        /// Seconds from the question's time on.
        seconds: u32,
    },
    /// No opinion: queue order, or what the next hook says.
    Abstain,
}

/// A command that a hook wants issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRequest {
    /// A second request with this key for the same binding and enrollment is the same command.
    pub dedupe_key: String,
    /// `RequestType`; the same as in the dictionary.
    pub request_type: String,
    /// The `Command` dictionary as an XML property list.
    pub command_plist: String,
    /// Why.
    pub reason: Reason,
}
