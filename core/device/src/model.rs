//! What a simulated device is and remembers, and how it answers commands. No I/O: the caller brings commands in, carries
//! answers out, waits where an answer says so, and keeps the state in a file.

mod behaviour;
mod commands;
mod facts;
mod profile;

use std::collections::VecDeque;
use std::time::Duration;

use lanyard_mdm::connect::{ErrorItem, Outcome, Status};
use plist::{Dictionary, Value};
use serde::{Deserialize, Serialize};

pub use behaviour::{Behaviour, BehaviourError, Deviation};
pub use facts::Facts;
pub use profile::{Profile, ProfileError, ProfilePayload};

/// Answers kept as evidence; older ones are forgotten.
const ANSWERS_KEPT: usize = 256;

/// A simulated iPhone. It serialises to JSON: that is its flash memory, and what others look at to see whether a command
/// really did something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What it says about itself.
    pub facts: Facts,
    /// Whether it has a passcode.
    pub passcode_present: bool,
    /// Set while it is locked by DeviceLock.
    pub lock: Option<Lock>,
    /// Whether EraseDevice was carried out. An erased device answers no command any more.
    pub erased: bool,
    /// Installed configuration profiles, in the order of installation.
    pub profiles: Vec<Profile>,
    /// What ClearPasscode must present.
    pub unlock_token: UnlockToken,
    /// The last answers, oldest first.
    pub answered: VecDeque<Answered>,
    /// How it deviates from a well-behaved device.
    #[serde(default)]
    pub behaviours: Vec<Behaviour>,
}

/// The screen of a device locked by DeviceLock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// `Message`.
    pub message: Option<String>,
    /// `PhoneNumber`.
    pub phone_number: Option<String>,
}

/// One answer given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// `CommandUUID`.
    pub command_uuid: String,
    /// `RequestType`.
    pub request_type: String,
    /// `Status`.
    pub status: String,
}

/// The device's own copy of its unlock token; base64 in JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnlockToken(String);

/// How the device reacts to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// It reports.
    Report {
        /// What it reports.
        outcome: Outcome,
        /// How long it takes to.
        after: Duration,
        /// What happens to it once the report was taken.
        then: Consequence,
    },
    /// It drops the connection and says nothing.
    Silence,
}

/// What a command changes beyond the model's own state.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Consequence {
    /// Nothing.
    #[default]
    None,
    /// The device is wiped: keys, tokens and the APNs registration are gone.
    Erased,
    /// The enrollment profile is gone; a device that was told to says CheckOut.
    Unenrolled,
    /// The enrollment profile was replaced: the device checks in anew with what this profile says (its octets, as sent).
    Reenroll(Vec<u8>),
}

/// What a command did, before it is put into a report.
#[derive(Debug, Default)]
struct Answer {
    status: Option<Status>,
    errors: Vec<ErrorItem>,
    response: Dictionary,
    then: Consequence,
}

impl Model {
    /// A device as it leaves the shop, with a passcode set by its owner.
    pub fn new(facts: Facts, unlock_token: &[u8]) -> Model {
        Model {
            facts,
            passcode_present: true,
            lock: None,
            erased: false,
            profiles: Vec::new(),
            unlock_token: UnlockToken::new(unlock_token),
            answered: VecDeque::new(),
            behaviours: Vec::new(),
        }
    }

    /// Carries out one command, given its `CommandUUID` and the `Command` dictionary, and says how the device reacts.
    pub fn answer(&mut self, command_uuid: &str, command: &Dictionary) -> Reaction {
        if self.erased {
            return Reaction::Silence;
        }
        let request_type = command
            .get("RequestType")
            .and_then(Value::as_string)
            .unwrap_or_default();
        let (after, deviation) = behaviour::due(&mut self.behaviours, request_type);
        let answer = match deviation {
            Some(Deviation::Refuse) => return Reaction::Silence,
            Some(Deviation::NotNow) => Answer::status(Status::NotNow),
            Some(Deviation::FormatError) => Answer::status(Status::CommandFormatError),
            Some(Deviation::Error(code)) => Answer::error(
                "MCMDMErrorDomain",
                code,
                "The simulated device was told to fail.",
            ),
            Some(Deviation::Lose | Deviation::Delay(_)) | None => {
                commands::carry_out(self, request_type, command)
            }
        };
        let status = answer.status.unwrap_or(Status::Acknowledged);
        self.remember(command_uuid, request_type, status);
        if deviation == Some(Deviation::Lose) {
            return Reaction::Silence;
        }
        Reaction::Report {
            outcome: Outcome::Result {
                command_uuid: command_uuid.to_owned(),
                status,
                errors: answer.errors,
                response: answer.response,
            },
            after,
            then: answer.then,
        }
    }

    /// Installs a profile, or replaces the one with its identifier.
    pub fn install(&mut self, profile: Profile) {
        self.profiles
            .retain(|installed| installed.identifier != profile.identifier);
        self.profiles.push(profile);
    }

    fn remember(&mut self, command_uuid: &str, request_type: &str, status: Status) {
        while self.answered.len() >= ANSWERS_KEPT {
            self.answered.pop_front();
        }
        self.answered.push_back(Answered {
            command_uuid: command_uuid.to_owned(),
            request_type: request_type.to_owned(),
            status: status.as_str().to_owned(),
        });
    }
}

impl Answer {
    fn status(status: Status) -> Answer {
        Answer {
            status: Some(status),
            ..Answer::default()
        }
    }

    fn response(response: Dictionary) -> Answer {
        Answer {
            response,
            ..Answer::default()
        }
    }

    fn error(domain: &str, code: i64, text: &str) -> Answer {
        Answer {
            status: Some(Status::Error),
            errors: vec![ErrorItem {
                code,
                domain: domain.to_owned(),
                localized: text.to_owned(),
                us_english: Some(text.to_owned()),
            }],
            ..Answer::default()
        }
    }
}

impl UnlockToken {
    /// Keeps the token.
    pub fn new(token: &[u8]) -> UnlockToken {
        use base64::Engine;
        UnlockToken(base64::engine::general_purpose::STANDARD.encode(token))
    }

    /// The token's octets, for TokenUpdate; empty if the file that it came from was damaged.
    pub fn expose(&self) -> Vec<u8> {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD
            .decode(&self.0)
            .unwrap_or_default()
    }
}

impl std::fmt::Debug for UnlockToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnlockToken(<redacted>)")
    }
}

#[cfg(test)]
mod tests;
