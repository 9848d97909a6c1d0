//! The envelope in which a command travels to a device.

use std::fmt;

use plist::{Dictionary, Value};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::document::{self, DocumentError, FieldError, Fields, Limits, WriteError};

/// Longest `CommandUUID`, in bytes.
const MAX_UUID: usize = 127;

const UUID_RULE: &str = "must be 1 to 127 printable ASCII characters";

/// A command for one device: `{CommandUUID, Command: {RequestType, …}}`.
#[derive(Clone, PartialEq)]
pub struct Command {
    uuid: String,
    request_type: String,
    request: Dictionary,
}

/// Why a command cannot be sent, or a command that came cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The envelope or the request lacks something, or has it wrong.
    #[error("the command breaks the protocol")]
    Field(#[from] FieldError),
    /// The command has no XML form.
    #[error("the command cannot be written")]
    Write(#[from] WriteError),
    /// The body is not an acceptable property list (client half).
    #[error("the command cannot be read")]
    Document(#[from] DocumentError),
}

impl Command {
    /// Puts a request (`{RequestType, …}`) into its envelope. The id is any unique string of 1 to 127 printable ASCII
    /// characters; a UUID by custom.
    ///
    /// # Errors
    ///
    /// [`CommandError::Field`] for a bad id, or a request without a `RequestType`.
    pub fn new(uuid: impl Into<String>, request: Dictionary) -> Result<Self, CommandError> {
        let mut envelope = Dictionary::new();
        envelope.insert("CommandUUID".to_owned(), Value::String(uuid.into()));
        envelope.insert("Command".to_owned(), Value::Dictionary(request));
        Self::take(envelope)
    }

    fn take(envelope: Dictionary) -> Result<Self, CommandError> {
        let mut fields = Fields::new("command", envelope);
        let uuid = fields.text("CommandUUID")?;
        let uuid = fields.required("CommandUUID", uuid)?;
        if !is_command_uuid(&uuid) {
            return Err(fields.invalid("CommandUUID", UUID_RULE).into());
        }
        let request = fields.dictionary("Command")?;
        let request = fields.required("Command", request)?;
        let request_type = match request.get("RequestType") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            Some(Value::String(_)) => {
                return Err(fields.invalid("RequestType", "must not be empty").into());
            }
            Some(other) => return Err(fields.type_error("RequestType", "string", other).into()),
            None => return Err(fields.missing("RequestType").into()),
        };
        Ok(Self {
            uuid,
            request_type,
            request,
        })
    }

    /// `CommandUUID`.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// `RequestType`, such as `DeviceLock`.
    #[must_use]
    pub fn request_type(&self) -> &str {
        &self.request_type
    }

    /// The request: `RequestType` and the command's own keys.
    #[must_use]
    pub fn request(&self) -> &Dictionary {
        &self.request
    }

    /// The body of the answer, wiped after use: ClearPasscode carries the unlock token.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when a value of the request has no XML form.
    pub fn to_xml(&self) -> Result<Zeroizing<Vec<u8>>, WriteError> {
        let mut envelope = Dictionary::new();
        envelope.insert(
            "Command".to_owned(),
            Value::Dictionary(self.request.clone()),
        );
        envelope.insert("CommandUUID".to_owned(), Value::String(self.uuid.clone()));
        document::write(&envelope).map(Zeroizing::new)
    }
}

/// A request that many get, each under an id of its own: written once.
pub struct Template {
    before: Zeroizing<Vec<u8>>,
    after: Zeroizing<Vec<u8>>,
}

impl Template {
    /// Writes a request (`{RequestType, …}`) with a gap for the id.
    ///
    /// # Errors
    ///
    /// [`CommandError::Field`] for a request without a `RequestType`, [`CommandError::Write`] for one that has no XML form.
    pub fn new(request: Dictionary) -> Result<Self, CommandError> {
        const GAP: &str = "CommandUUID-of-each";
        let xml = Command::new(GAP, request)?.to_xml()?;
        // The id stands last, whatever the request holds.
        let mut at = xml.windows(GAP.len());
        let at = at.rposition(|octets| octets == GAP.as_bytes());
        let (before, rest) = xml.split_at(at.unwrap_or_default());
        Ok(Self {
            before: Zeroizing::new(before.to_vec()),
            after: Zeroizing::new(rest[GAP.len()..].to_vec()),
        })
    }

    /// The body of the answer for one of them: what [`Command::to_xml`] would write.
    ///
    /// # Errors
    ///
    /// [`CommandError::Field`] for an id that is not one of 1 to 127 letters, digits and hyphens.
    pub fn to_xml(&self, uuid: &str) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(1..=MAX_UUID).contains(&uuid.len()) || !uuid.bytes().all(plain) {
            let fields = Fields::new("command", Dictionary::new());
            let rule = "must be 1 to 127 letters, digits and hyphens";
            return Err(fields.invalid("CommandUUID", rule).into());
        }
        let whole = [&self.before, uuid.as_bytes(), &self.after].concat();
        Ok(Zeroizing::new(whole))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The values stay out: passwords, PINs and tokens travel in commands.
        f.debug_struct("Command")
            .field("uuid", &self.uuid)
            .field("request_type", &self.request_type)
            .field("keys", &self.request.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Reads the server's answer (client half): `None` when the body is empty and there is nothing to do.
///
/// # Errors
///
/// [`CommandError`] when the body is anything but a command.
pub fn read_answer(body: &[u8], limits: Limits) -> Result<Option<Command>, CommandError> {
    if body.is_empty() {
        return Ok(None);
    }
    Command::take(document::read(body, limits)?).map(Some)
}

pub(super) fn is_command_uuid(text: &str) -> bool {
    (1..=MAX_UUID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
