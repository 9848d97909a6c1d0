//! What a plugin may call: the operator's log, and secrets that it uses and does not read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lanyard_policy::{HookFailure, Secret};
use wasmtime::component::Resource;

use crate::bindings::lanyard::policy::log::Level;
use crate::bindings::lanyard::policy::{log, secrets, types};
use crate::call::CallState;
use crate::verify::Verification;

/// What a `secret` handle stands for.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct HeldSecret(pub(crate) Secret);

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
        let kept = state.spend(bytes.len());
        let unfinished = &mut state.unfinished[usize::from(name == "stderr")];
        for byte in &bytes[..kept] {
            if *byte == b'\n' {
                self.emit(name, Level::Info, &String::from_utf8_lossy(unfinished));
                unfinished.clear();
            } else {
                unfinished.push(*byte);
            }
        }
    }

    fn line(&self, level: Level, message: &str) {
        let kept = self.lock().spend(message.len());
        if kept > 0 || message.is_empty() {
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

impl LogState {
    /// How many of so many bytes are within the budget.
    fn spend(&mut self, bytes: usize) -> usize {
        let kept = bytes.min(self.budget);
        self.budget -= kept;
        kept
    }
}

impl types::Host for CallState {}

impl log::Host for CallState {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        self.log.line(level, &message);
        Ok(())
    }
}

impl secrets::Host for CallState {}

impl secrets::HostSecret for CallState {
    async fn verify(
        &mut self,
        handle: Resource<HeldSecret>,
        phc: String,
    ) -> wasmtime::Result<bool> {
        self.count_host_call()?;
        self.count_verification()?;
        let secret = self.table.get(&handle)?.0.clone();
        let verification = Verification::parse(phc).map_err(|refusal| {
            wasmtime::Error::new(HookFailure::InvalidAnswer {
                detail: refusal.to_string(),
            })
        })?;
        let place = Arc::clone(&self.verifying).acquire_owned().await?;
        // Off the executor's threads: twenty milliseconds of pure computing would hold up everybody else's requests. The place is
        // held until the computing ends, which no deadline interrupts.
        let verified = tokio::task::spawn_blocking(move || {
            let _place = place;
            verification.run(&secret)
        });
        Ok(verified.await?)
    }

    async fn drop(&mut self, handle: Resource<HeldSecret>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
