//! Hook point *event*: something happened, is there anything to do?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    CommandRequest, CommandResult, Decision, DeviceFacts, HookFailure, Person, PersonRef, Purpose,
};

/// Hears of what happened, at least once each, and may ask for commands.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Takes note and says what should be issued, under the same ceilings as command-selection.
    ///
    /// # Errors
    /// After a failure the event is delivered again, and in the end parked and shown to the operator.
    async fn handle(&self, event: Event) -> Result<Vec<IssuedCommand>, HookFailure>;
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The occasion. Its id stays the same when the event is delivered again.
    pub decision: Decision,
    /// What happened.
    pub occurrence: Occurrence,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occurrence {
    /// A device completed its enrollment: its first `TokenUpdate` arrived.
    Enrolled {
        /// Id of the enrollment.
        enrollment: String,
        /// Who enrolled it.
        person: Option<Person>,
        /// The device.
        device: DeviceFacts,
    },
    /// A device said that it leaves.
    CheckedOut {
        /// Id of the enrollment.
        enrollment: String,
    },
    /// A device answered a command for the last time.
    CommandFinished {
        /// Id of the enrollment.
        enrollment: String,
        /// The answer.
        result: CommandResult,
        /// The device. Left out by events that were put into the outbox before it was told.
        #[serde(default)]
        device: Option<DeviceFacts>,
    },
    /// A certificate was issued.
    CertificateIssued {
        /// Its serial number, in lower-case hex.
        serial: String,
        /// What it is for.
        purpose: Purpose,
        /// The person it was issued to.
        person: Option<PersonRef>,
        /// The device it was issued to.
        udid: Option<String>,
    },
    /// A directory says that a person may no longer act.
    PersonDisabled {
        /// Who.
        person: PersonRef,
        /// Ids of the enrollments that this person made.
        enrollments: Vec<String>,
    },
    /// The binding's own schedule is due.
    Tick {
        /// The schedule, as the binding writes it.
        schedule: String,
    },
}

impl Occurrence {
    /// The one enrollment that it is about, if it is about one.
    #[must_use]
    pub fn enrollment(&self) -> Option<&str> {
        match self {
            Self::Enrolled { enrollment, .. }
            | Self::CheckedOut { enrollment }
            | Self::CommandFinished { enrollment, .. } => Some(enrollment),
            Self::CertificateIssued { .. } | Self::PersonDisabled { .. } | Self::Tick { .. } => {
                None
            }
        }
    }
}

/// A command for one enrollment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCommand {
    /// Id of the enrollment.
    pub enrollment: String,
    /// The command.
    pub request: CommandRequest,
}
