//! Hook point *event*: something happened, is there anything to do?

pub use crate::bindings::event::exports::lanyard::policy::event::{Happening, IssuedCommand};
use crate::{CommandRequest, Unavailable, fact};

/// Hears of what happened, at least once each.
pub trait EventSink {
    /// Says what should be issued. Kinds that it does not know are ignored: more may come.
    ///
    /// # Errors
    /// [`Unavailable`]: the event is told again later.
    fn handle(&self, happening: Happening) -> Result<Vec<IssuedCommand>, Unavailable>;
}

impl Happening {
    /// A text among the facts: `serial`, `purpose`, `schedule`.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        fact::text(&self.facts, name)
    }
}

impl IssuedCommand {
    /// A command for one enrollment.
    pub fn new(enrollment: impl Into<String>, command: CommandRequest) -> Self {
        Self {
            enrollment: enrollment.into(),
            command,
        }
    }
}
