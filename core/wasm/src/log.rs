//! What plugins write: lines for the operator, until the call's budget is spent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bindings::capabilities::lanyard::policy::log::Level;

/// What a line costs beside its text, in bytes: the log writes a time and a name before it.
const LINE: usize = 128;

/// Where the lines of one call go, until their budget is spent.
pub(crate) struct Log {
    plugin: Arc<str>,
    decision: String,
    state: Mutex<LogState>,
}

struct LogState {
    budget: usize,
    /// A line of a standard stream that has not ended, one for each stream.
    unfinished: [Vec<u8>; 2],
}

impl Log {
    pub(crate) fn new(plugin: Arc<str>, decision: String, budget: usize) -> Self {
        Self {
            plugin,
            decision,
            state: Mutex::new(LogState {
                budget,
                unfinished: [Vec::new(), Vec::new()],
            }),
        }
    }

    /// Takes what the plugin wrote to `stdout` or `stderr`, and logs the lines that it completes.
    pub(crate) fn stream(&self, name: &'static str, bytes: &[u8]) {
        let mut state = self.lock();
        let LogState { budget, unfinished } = &mut *state;
        let unfinished = &mut unfinished[usize::from(name == "stderr")];
        let kept = spend(budget, bytes.len());
        for byte in &bytes[..kept] {
            if *byte != b'\n' {
                unfinished.push(*byte);
            } else if spend(budget, LINE) > 0 {
                self.emit(name, Level::Info, &String::from_utf8_lossy(unfinished));
                unfinished.clear();
            }
        }
    }

    pub(crate) fn line(&self, level: Level, message: &str) {
        let budget = &mut self.lock().budget;
        if spend(budget, LINE) > 0 {
            let kept = spend(budget, message.len());
            self.emit("log", level, &message[..message.floor_char_boundary(kept)]);
        }
    }

    /// Logs what was left without a line end.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        for (name, unfinished) in ["stdout", "stderr"].into_iter().zip(&mut state.unfinished) {
            if !unfinished.is_empty() {
                self.emit(name, Level::Info, &String::from_utf8_lossy(unfinished));
                unfinished.clear();
            }
        }
    }

    /// The text is a plugin's: it goes into a field of its own, escaped, never into the message.
    fn emit(&self, source: &'static str, level: Level, text: &str) {
        let (plugin, decision) = (&*self.plugin, self.decision.as_str());
        match level {
            Level::Debug => tracing::debug!(plugin, decision, source, ?text, "plugin says"),
            Level::Info => tracing::info!(plugin, decision, source, ?text, "plugin says"),
            Level::Warn => tracing::warn!(plugin, decision, source, ?text, "plugin says"),
            Level::Error => tracing::error!(plugin, decision, source, ?text, "plugin says"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        // A thread that panicked while logging leaves nothing worse than half a line.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of so many bytes are within the budget.
fn spend(budget: &mut usize, bytes: usize) -> usize {
    let kept = bytes.min(*budget);
    *budget -= kept;
    kept
}
