//! Check-in: what a device says about its enrollment (Apple, "Check-in").
//!
//! [`CheckIn::parse`] is the server half, [`CheckIn::to_xml`] the client half. All message types of Apple's schema are read;
//! an unknown one is [`Message::Unknown`], to be answered 400 and never 401, which would unenroll the device.

mod message;

use plist::Dictionary;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::document::{self, DocumentError, FieldError, Fields, Limits, WriteError};
use crate::secret::RawMessage;
use crate::sender::Sender;

pub use message::{
    Authenticate, DeclarativeManagement, GetToken, Message, SetBootstrapToken, TokenUpdate,
    UserAuthenticate,
};

/// Content type of a check-in request. Compare the beginning only: parameters may follow.
pub const CONTENT_TYPE: &str = "application/x-apple-aspen-mdm-checkin";

/// A check-in message with its sender.
#[derive(Debug, Clone)]
pub struct CheckIn {
    /// Who sent it. Prove it against the identity certificate before believing it.
    pub sender: Sender,
    /// What it says.
    pub message: Message,
    raw: RawMessage,
}

/// Why a check-in body was not understood: all of it the sender's doing, to be answered 400.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckInError {
    /// The body is not an acceptable property list.
    #[error("the check-in body cannot be read")]
    Document(#[from] DocumentError),
    /// An entry is missing or wrong.
    #[error("the check-in message breaks the protocol")]
    Field(#[from] FieldError),
}

impl CheckIn {
    /// Reads the body of a check-in request.
    ///
    /// Keys that the message type does not define are ignored; [`CheckIn::raw`] keeps them.
    ///
    /// # Errors
    ///
    /// See [`CheckInError`].
    pub fn parse(body: &[u8], limits: Limits) -> Result<Self, CheckInError> {
        let mut fields = Fields::new("check-in", document::read(body, limits)?);
        let message_type = fields.text("MessageType")?;
        let message_type = fields.required("MessageType", message_type)?;
        fields.rename(Message::protocol_name(&message_type));
        let sender = Sender::take(&mut fields)?;
        let message = Message::take(message_type, &mut fields)?;
        Ok(Self {
            sender,
            message,
            raw: RawMessage::new(body),
        })
    }

    /// A message to send (client half).
    ///
    /// # Errors
    ///
    /// [`WriteError`] when a text in it has characters that XML cannot carry.
    pub fn new(sender: Sender, message: Message) -> Result<Self, WriteError> {
        let mut entries = Dictionary::new();
        sender.put(&mut entries);
        message.put(&mut entries);
        let raw = RawMessage::new(document::write(&entries)?);
        Ok(Self {
            sender,
            message,
            raw,
        })
    }

    /// The message exactly as it came or as it is to be sent. It holds every token in clear.
    #[must_use]
    pub fn raw(&self) -> &RawMessage {
        &self.raw
    }

    /// The request body (client half).
    #[must_use]
    pub fn to_xml(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.raw.expose().to_vec())
    }
}
