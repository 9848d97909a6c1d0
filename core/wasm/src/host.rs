//! The engine that all plugins share.

use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::bindings::capabilities::Capabilities;
use crate::cache::Cache;
use crate::calls::Calls;
use crate::credential::Credentials;
use crate::directories::Directories;
use crate::sandbox;
use crate::state::CallState;
use crate::turns::{TICK, Turns};

/// How much room there is for plugins, all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Calls under way at the same time. Each costs address space only, until it is used. Default 128.
    pub instances: u32,
    /// The most that one linear memory can hold, in bytes. Default 64 MiB.
    pub memory_bytes: usize,
    /// Linear memories of one instance. Default 1: a Rust component is one module with one memory.
    pub memories: u32,
    /// Core modules that one instance is made of. Default 8: beside the plugin's own, small ones that connect it to its imports.
    pub modules: u32,
    /// Tables of one instance. Default 4.
    pub tables: u32,
    /// The largest component that is compiled, in bytes. Compiling cannot be interrupted, and takes seconds for a file that is made
    /// to be slow. Default 4 MiB.
    pub component_bytes: usize,
    /// Uses of `secret.verify` that are computed at the same time, whosever they are; others wait. Each takes a processor, and up
    /// to 64 MiB. Default 2.
    pub verifications: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            instances: 128,
            memory_bytes: 64 << 20,
            memories: 1,
            modules: 8,
            tables: 4,
            component_bytes: 4 << 20,
            verifications: 2,
        }
    }
}

/// The engine does not start on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the WebAssembly engine does not start with room for {instances} instances: {detail}")]
pub struct StartError {
    instances: u32,
    detail: String,
}

/// What the operator configured outside of the host, for bindings to grant by name.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// LDAP directories.
    pub directories: Directories,
    /// Credentials of HTTP requests.
    pub credentials: Credentials,
}

/// Compiles and runs plugins.
pub struct PluginHost {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<CallState>,
    pub(crate) capacity: Capacity,
    pub(crate) cache: Option<Arc<Cache>>,
    pub(crate) common: Common,
}

/// What hosts have in common that are [beside](PluginHost::beside) each other, and all calls of their plugins.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) outside: Arc<Outside>,
    /// Places for computing uses of `secret.verify`.
    pub(crate) verifications: Arc<Semaphore>,
    /// For calls that compute for long.
    pub(crate) turns: Arc<Turns>,
    pub(crate) calls: Calls,
}

impl PluginHost {
    /// Reserves address space for the given capacity and starts the thread that interrupts plugins. The thread ends
    /// with the last plugin.
    ///
    /// # Errors
    /// [`StartError`] if the machine lacks the address space, or is not one that the engine compiles for.
    pub fn new(capacity: Capacity) -> Result<Self, StartError> {
        let refused = |detail: String| StartError {
            instances: capacity.instances,
            detail,
        };
        let engine =
            Engine::new(&config(&capacity)).map_err(|error| refused(format!("{error:#}")))?;
        let linker = linker(&engine).map_err(|error| refused(format!("{error:#}")))?;
        tick(&engine).map_err(|error| refused(error.to_string()))?;
        Ok(Self {
            engine,
            linker,
            common: Common {
                outside: Arc::default(),
                verifications: Arc::new(Semaphore::new(capacity.verifications)),
                turns: Arc::new(Turns::new()),
                calls: Calls::default(),
            },
            capacity,
            cache: None,
        })
    }

    /// Another engine beside this one, for plugins that do not fit in here. They reach the same, share the cache, and wait for the same
    /// turns when they compute for long or verify secrets: the processors are no more for it.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn beside(&self, capacity: Capacity) -> Result<Self, StartError> {
        Ok(Self {
            cache: self.cache.clone(),
            common: self.common.clone(),
            ..Self::new(capacity)?
        })
    }

    /// What is counted of the calls of its plugins, and of those of the hosts [beside](Self::beside) it.
    pub fn calls(&self) -> &Calls {
        &self.common.calls
    }

    /// What bindings can grant by name.
    pub fn outside(&self) -> &Outside {
        &self.common.outside
    }

    /// The same host, from which plugins that are loaded from now on reach this.
    #[must_use]
    pub fn reaching(self, outside: Outside) -> Self {
        let common = Common {
            outside: Arc::new(outside),
            ..self.common
        };
        Self { common, ..self }
    }

    /// The same host, which keeps what it compiles from now on, and compiles nothing that was kept.
    #[must_use]
    pub fn caching(self, cache: Cache) -> Self {
        Self {
            cache: Some(Arc::new(cache)),
            ..self
        }
    }
}

/// Of a linear memory that is free, in bytes: ten times what a small plugin touches.
const KEPT_MEMORY_BYTES: usize = 256 << 10;
/// Of a table that is free, in bytes.
const KEPT_TABLE_BYTES: usize = 64 << 10;

fn config(capacity: &Capacity) -> Config {
    let instances = capacity.instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(capacity.modules))
        .total_memories(instances.saturating_mul(capacity.memories))
        .total_tables(instances.saturating_mul(capacity.tables))
        .total_stacks(instances)
        .max_core_instances_per_component(capacity.modules)
        .max_memories_per_component(capacity.memories)
        .max_tables_per_component(capacity.tables)
        .max_memory_size(capacity.memory_bytes);
    // Where the kernel says which pages an instance wrote to (Linux 6.7), writing those over is half as dear as giving them back and
    // taking them anew. Where it does not say, all of what is kept would be written over, which is dearer.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEPT_MEMORY_BYTES)
            .table_keep_resident(KEPT_TABLE_BYTES);
    }
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .consume_fuel(true)
        .epoch_interruption(true)
        // The same bits on every machine, so that a recorded decision replays.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        // Nobody reads a plugin's backtrace, and collecting it costs more than the call.
        .wasm_backtrace_max_frames(None);
    config
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    sandbox::link(&mut linker)?;
    Capabilities::add_to_linker::<_, HasSelf<CallState>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// A thread and not a task: it has to tick when all of the executor's threads are busy with plugins.
fn tick(engine: &Engine) -> std::io::Result<()> {
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("plugin-epoch".to_owned())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map(drop)
}
