//! Typed commands as the host takes them.

use lanyard_commands::Command;

use crate::{CommandRequest, Reason};

/// A command that has no form as a property list.
#[derive(Debug, thiserror::Error)]
#[error("the command cannot be written")]
pub struct CommandNotWritten(#[from] plist::Error);

impl CommandRequest {
    /// A request for a command of the catalogue. A second one with this key, of the same binding for the same enrollment, is the same
    /// command.
    ///
    /// # Errors
    /// [`CommandNotWritten`] for a text that XML cannot carry.
    pub fn new(
        dedupe_key: impl Into<String>,
        command: impl Into<Command>,
        reason: Reason,
    ) -> Result<Self, CommandNotWritten> {
        let command = command.into();
        let mut xml = Vec::new();
        plist::to_writer_xml(&mut xml, &command.to_dictionary())?;
        Ok(Self {
            dedupe_key: dedupe_key.into(),
            request_type: command.request_type().to_owned(),
            command_plist: String::from_utf8_lossy(&xml).into_owned(),
            reason,
        })
    }
}
