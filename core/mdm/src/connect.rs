//! The connect loop: a device reports, the server answers with the next command or with nothing (Apple, "Sending MDM
//! commands to a device").
//!
//! Server half: [`Report::parse`] and [`Command::to_xml`]. Client half: [`Report::to_xml`] and [`read_answer`].

mod command;
mod report;

pub use command::{Command, CommandError, Template, read_answer};
pub use report::{ErrorItem, Outcome, Report, ReportError, Status, Unreadable};

/// Content type of a connect request. Compare the beginning only: parameters may follow.
pub const CONTENT_TYPE: &str = "application/x-apple-aspen-mdm";

/// Content type of an answer that carries a command. An answer without one is 200 with a body of zero bytes: an empty
/// property list is taken for a malformed command.
pub const COMMAND_CONTENT_TYPE: &str = "application/xml; charset=UTF-8";
