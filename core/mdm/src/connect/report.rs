//! What a device says on its connect URL: that it is idle, or how a command went.

use std::fmt;

use plist::{Dictionary, Value};
use thiserror::Error;

use super::command::is_command_uuid;
use crate::document::{self, DocumentError, FieldError, Fields, Limits, WriteError};
use crate::secret::RawMessage;
use crate::sender::{EnrollmentId, Sender};

/// A report with its sender.
#[derive(Debug, Clone)]
pub struct Report {
    /// Who sent it. Prove it against the identity certificate before believing it.
    pub sender: Sender,
    /// What it says.
    pub outcome: Outcome,
    raw: RawMessage,
}

/// What a report says.
#[derive(Clone, PartialEq)]
pub enum Outcome {
    /// `Idle`: the device asks for work.
    Idle,
    /// How a command went.
    Result {
        /// `CommandUUID`; 1 to 127 printable ASCII characters. May name a command that this server never sent.
        command_uuid: String,
        /// `Status`.
        status: Status,
        /// `ErrorChain`, outermost first; empty unless something failed.
        errors: Vec<ErrorItem>,
        /// The keys of the command's own answer. May hold secrets (recovery keys, bypass codes).
        response: Dictionary,
    },
}

/// `Status` of a command (Apple, "Handling NotNow status responses"; the set is closed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Processed. Some commands have only been started by then.
    Acknowledged,
    /// Failed for good.
    Error,
    /// The device did not understand the command: the server's fault.
    CommandFormatError,
    /// Not now: the command stays queued and is sent again later.
    NotNow,
}

/// One entry of `ErrorChain`. For people to read: codes change between releases, so nothing may depend on them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorItem {
    /// `ErrorCode`.
    pub code: i64,
    /// `ErrorDomain`.
    pub domain: String,
    /// `LocalizedDescription`, in the language of the device.
    pub localized: String,
    /// `USEnglishDescription`.
    pub us_english: Option<String>,
}

/// Why a report was not understood. All of it is the sender's doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The body is not an acceptable property list.
    #[error("the report cannot be read")]
    Document(#[from] DocumentError),
    /// An entry is missing or wrong.
    #[error("the report breaks the protocol")]
    Field(#[from] FieldError),
}

/// A report that was not understood, with what could be made out of it.
///
/// Where `enrollment` and `command_uuid` are known and the sender is proven, the command is to be settled as undecodable: a
/// device repeats a report until it is taken, so one bad result would block its channel for ever.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the report was not understood")]
pub struct Unreadable {
    /// The channel, where the identity keys could be made out.
    pub enrollment: Option<EnrollmentId>,
    /// The command, where its id could be made out.
    pub command_uuid: Option<String>,
    /// What went wrong.
    pub source: ReportError,
}

/// Where an understood document stopped making sense.
struct Partial {
    enrollment: Option<EnrollmentId>,
    command_uuid: Option<String>,
    error: FieldError,
}

impl Report {
    /// Reads the body of a connect request.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], boxed because it is the rare case.
    pub fn parse(body: &[u8], limits: Limits) -> Result<Self, Box<Unreadable>> {
        let entries = match document::read(body, limits) {
            Ok(entries) => entries,
            Err(error) => return Err(Box::new(salvage(body, limits, error))),
        };
        match read(entries) {
            Ok((sender, outcome)) => Ok(Self {
                sender,
                outcome,
                raw: RawMessage::new(body),
            }),
            Err(partial) => Err(Box::new(Unreadable {
                enrollment: partial.enrollment,
                command_uuid: partial.command_uuid,
                source: partial.error.into(),
            })),
        }
    }

    /// A report to send (client half).
    ///
    /// # Errors
    ///
    /// [`WriteError`] when a value in it has no XML form.
    pub fn new(sender: Sender, outcome: Outcome) -> Result<Self, WriteError> {
        let mut entries = outcome.to_entries();
        sender.put(&mut entries);
        let raw = RawMessage::new(document::write(&entries)?);
        Ok(Self {
            sender,
            outcome,
            raw,
        })
    }

    /// The report exactly as it came or as it is to be sent.
    #[must_use]
    pub fn raw(&self) -> &RawMessage {
        &self.raw
    }

    /// The request body (client half).
    #[must_use]
    pub fn to_xml(&self) -> Vec<u8> {
        self.raw.expose().to_vec()
    }
}

fn read(entries: Dictionary) -> Result<(Sender, Outcome), Box<Partial>> {
    let mut fields = Fields::new("report", entries);
    let mut enrollment = None;
    let mut command_uuid = None;
    let mut read = || {
        let uuid = fields.text("CommandUUID")?;
        command_uuid = uuid.filter(|uuid| is_command_uuid(uuid));
        let sender = Sender::take(&mut fields)?;
        enrollment = Some(sender.id().clone());
        let status = fields.text("Status")?;
        let status = fields.required("Status", status)?;
        if status == "Idle" {
            return Ok((sender, Outcome::Idle));
        }
        let status = Status::from_protocol(&status).ok_or_else(|| {
            fields.invalid(
                "Status",
                "must be Idle, Acknowledged, Error, CommandFormatError or NotNow",
            )
        })?;
        let command_uuid = fields.required("CommandUUID", command_uuid.clone())?;
        let errors = ErrorItem::chain(fields.value("ErrorChain"));
        let response = fields.take_rest();
        let outcome = Outcome::Result {
            command_uuid,
            status,
            errors,
            response,
        };
        Ok((sender, outcome))
    };
    let result = read();
    result.map_err(|error| {
        Box::new(Partial {
            enrollment,
            command_uuid,
            error,
        })
    })
}

impl Outcome {
    fn to_entries(&self) -> Dictionary {
        let mut entries = Dictionary::new();
        match self {
            Self::Idle => {
                entries.insert("Status".to_owned(), "Idle".into());
            }
            Self::Result {
                command_uuid,
                status,
                errors,
                response,
            } => {
                entries.clone_from(response);
                entries.insert("CommandUUID".to_owned(), command_uuid.clone().into());
                entries.insert("Status".to_owned(), status.as_str().into());
                if !errors.is_empty() {
                    let chain = errors.iter().map(ErrorItem::to_value).collect();
                    entries.insert("ErrorChain".to_owned(), Value::Array(chain));
                }
            }
        }
        entries
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("Idle"),
            Self::Result {
                command_uuid,
                status,
                errors,
                response,
            } => f
                .debug_struct("Result")
                .field("command_uuid", command_uuid)
                .field("status", status)
                .field("errors", errors)
                // The values stay out: recovery keys and bypass codes come back this way.
                .field("keys", &response.keys().collect::<Vec<_>>())
                .finish(),
        }
    }
}

impl Status {
    /// The protocol's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "Acknowledged",
            Self::Error => "Error",
            Self::CommandFormatError => "CommandFormatError",
            Self::NotNow => "NotNow",
        }
    }

    fn from_protocol(text: &str) -> Option<Self> {
        [
            Self::Acknowledged,
            Self::Error,
            Self::CommandFormatError,
            Self::NotNow,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

impl ErrorItem {
    /// Takes what is there: a chain that is odd must not cost the status that it explains.
    fn chain(value: Option<Value>) -> Vec<Self> {
        let Some(Value::Array(items)) = value else {
            return Vec::new();
        };
        items
            .into_iter()
            .filter_map(Value::into_dictionary)
            .map(Self::take)
            .collect()
    }

    fn take(mut entries: Dictionary) -> Self {
        let mut text = |key| entries.remove(key).and_then(Value::into_string);
        Self {
            domain: text("ErrorDomain").unwrap_or_default(),
            localized: text("LocalizedDescription").unwrap_or_default(),
            us_english: text("USEnglishDescription"),
            code: entries
                .get("ErrorCode")
                .and_then(Value::as_signed_integer)
                .unwrap_or_default(),
        }
    }

    fn to_value(&self) -> Value {
        let mut entries = Dictionary::new();
        entries.insert("ErrorCode".to_owned(), self.code.into());
        entries.insert("ErrorDomain".to_owned(), self.domain.clone().into());
        entries.insert(
            "LocalizedDescription".to_owned(),
            self.localized.clone().into(),
        );
        if let Some(us_english) = &self.us_english {
            entries.insert("USEnglishDescription".to_owned(), us_english.clone().into());
        }
        Value::Dictionary(entries)
    }
}

/// Looks for the ids in a body that is not a property list. A key may occur more than once (DeviceInformation repeats the UDID),
/// but only with one value: text from inside an answer must not settle another command.
fn salvage(body: &[u8], limits: Limits, error: DocumentError) -> Unreadable {
    let mut unreadable = Unreadable {
        enrollment: None,
        command_uuid: None,
        source: error.into(),
    };
    if body.len() > limits.max_bytes {
        return unreadable;
    }
    let text = String::from_utf8_lossy(body);
    unreadable.enrollment = salvage_sender(&text);
    unreadable.command_uuid = match string_of(&text, "CommandUUID") {
        Found::One(uuid) if is_command_uuid(uuid) => Some(uuid.to_owned()),
        _ => None,
    };
    unreadable
}

fn salvage_sender(text: &str) -> Option<EnrollmentId> {
    let mut found = Dictionary::new();
    for key in Sender::ID_KEYS {
        match string_of(text, key) {
            Found::None => {}
            Found::One(value) => {
                found.insert(key.to_owned(), value.into());
            }
            Found::Unclear => return None,
        }
    }
    let sender = Sender::take(&mut Fields::new("report", found)).ok()?;
    Some(sender.id().clone())
}

enum Found<'a> {
    None,
    One(&'a str),
    Unclear,
}

fn string_of<'a>(text: &'a str, key: &str) -> Found<'a> {
    let tag = format!("<key>{key}</key>");
    let mut found = Found::None;
    for (at, _) in text.match_indices(&tag) {
        let rest = text[at + tag.len()..].trim_start();
        let value = rest
            .strip_prefix("<string>")
            .and_then(|rest| rest.split_once('<'));
        match (value, &found) {
            // A value with markup or entities is none of the ids that this server gave out.
            (Some((value, rest)), _) if !rest.starts_with("/string>") || value.contains('&') => {
                return Found::Unclear;
            }
            (Some((value, _)), Found::None) => found = Found::One(value),
            (Some((value, _)), Found::One(first)) if value == *first => {}
            _ => return Found::Unclear,
        }
    }
    found
}
