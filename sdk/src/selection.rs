//! Hook point *command-selection*: the device is idle, what next?

use crate::Unavailable;
pub use crate::bindings::selection::exports::lanyard::policy::command_selection::{
    Question as SelectionQuestion, QueuedCommand, Verdict as SelectionVerdict,
};

/// Chooses the next command of an idle device.
pub trait CommandSelection {
    /// Chooses.
    ///
    /// # Errors
    /// [`Unavailable`]: what is queued is delivered in queue order.
    fn select(&self, question: SelectionQuestion) -> Result<SelectionVerdict, Unavailable>;
}
