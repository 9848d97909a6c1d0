//! What one call of a plugin may use up.

use std::time::Duration;

use lanyard_policy::HookFailure;
use wasmtime::ResourceLimiter;

/// Budgets of one plugin. All but [`concurrent_calls`](Self::concurrent_calls) are per call.
///
/// The defaults need no tuning: an ordinary directory call takes well under a hundredth of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// WebAssembly instructions, roughly. Deterministic. Default 100 million: some tens of milliseconds of computing.
    pub fuel: u64,
    /// Wall-clock time of a call, waits included. A backstop for what burns no fuel, such as sleeping. Default 5 s.
    pub deadline: Duration,
    /// Linear memory, in bytes. Default 32 MiB; no more than [`Capacity::memory_bytes`](crate::Capacity::memory_bytes).
    pub memory_bytes: usize,
    /// Elements of each table. Default 20,000: ten times what a large Rust plugin has functions in its table.
    pub table_elements: usize,
    /// Calls of Lanyard's own capabilities. WASI calls are bounded by fuel and deadline. Default 1,000.
    pub host_calls: u64,
    /// Uses of `secret.verify`, each of which costs a deliberate 20 ms or more of computing, and of `secret.equals`. Default 4.
    pub verifications: u64,
    /// Bytes that a single host call, or the answer, may carry out of the plugin. Default 1 MiB.
    pub copied_bytes: usize,
    /// Live handles. Default 256.
    pub handles: usize,
    /// Bytes of log, standard output and standard error together, 128 for each line included; the rest is cut off. Default 16 KiB.
    pub log_bytes: usize,
    /// Calls under way at the same time. Others wait for their turn, at most for the deadline. Default 16; no more than half of
    /// [`Capacity::instances`](crate::Capacity::instances), so that sleepers of one plugin cannot take the instances of all.
    pub concurrent_calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 100_000_000,
            deadline: Duration::from_secs(5),
            memory_bytes: 32 << 20,
            table_elements: 20_000,
            host_calls: 1_000,
            verifications: 4,
            copied_bytes: 1 << 20,
            handles: 256,
            log_bytes: 16 << 10,
            concurrent_calls: 16,
        }
    }
}

impl Limits {
    /// The deadline as failures report it.
    pub(crate) fn deadline_ms(&self) -> u64 {
        u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Refuses growth beyond the limits with a typed error, so that the breach is not mistaken for the plugin's own trap.
pub(crate) struct Ceiling {
    memory_bytes: usize,
    table_elements: usize,
}

impl Ceiling {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
        }
    }
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        within(desired, self.memory_bytes, "memory", "bytes")
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        within(desired, self.table_elements, "table", "elements")
    }
}

fn within(desired: usize, limit: usize, resource: &str, unit: &str) -> wasmtime::Result<bool> {
    if desired <= limit {
        return Ok(true);
    }
    Err(wasmtime::Error::new(HookFailure::MemoryLimit {
        resource: resource.to_owned(),
        limit: limit as u64,
        unit: unit.to_owned(),
    }))
}
