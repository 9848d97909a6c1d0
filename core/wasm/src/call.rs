//! One call: a store with its budgets, a fresh instance, and what went wrong if something did.

use std::sync::Arc;

use lanyard_policy::{Decision, HookFailure};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime::component::{ResourceTable, ResourceTableError};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::bindings::{DirectoryPlugin, DirectoryPluginPre};
use crate::capability::Log;
use crate::limits::{Ceiling, Limits};
use crate::sandbox;

/// Everything that belongs to one call and is gone with it.
pub(crate) struct CallState {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    ceiling: Ceiling,
    pub(crate) log: Arc<Log>,
    limits: Arc<Limits>,
    host_calls: u64,
    verifications: u64,
    /// The host's places for computing them.
    pub(crate) verifying: Arc<Semaphore>,
}

impl CallState {
    fn new(called: &Callable, decision: &Decision) -> Self {
        let limits = &called.limits;
        let log = Arc::new(Log::new(
            Arc::clone(&called.plugin),
            decision.id.clone(),
            limits.log_bytes,
        ));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            wasi: sandbox::context(decision, &log),
            table,
            ceiling: Ceiling::new(limits),
            log,
            limits: Arc::clone(limits),
            host_calls: 0,
            verifications: 0,
            verifying: Arc::clone(&called.verifying),
        }
    }

    pub(crate) fn count_host_call(&mut self) -> wasmtime::Result<()> {
        count(&mut self.host_calls, self.limits.host_calls, "host-calls")
    }

    pub(crate) fn count_verification(&mut self) -> wasmtime::Result<()> {
        count(
            &mut self.verifications,
            self.limits.verifications,
            "secret-verify",
        )
    }
}

fn count(used: &mut u64, limit: u64, what: &str) -> wasmtime::Result<()> {
    if *used >= limit {
        return Err(wasmtime::Error::new(HookFailure::HostCallLimit {
            what: what.to_owned(),
            limit,
        }));
    }
    *used += 1;
    Ok(())
}

impl Drop for CallState {
    fn drop(&mut self) {
        self.log.finish();
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A plugin that is ready to be called, however often and from wherever.
#[derive(Clone)]
pub(crate) struct Callable {
    pub(crate) plugin: Arc<str>,
    pub(crate) engine: Engine,
    pub(crate) pre: DirectoryPluginPre<CallState>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) verifying: Arc<Semaphore>,
}

impl Callable {
    /// Makes an instance, runs `ask` with it, and takes it down again.
    ///
    /// Dropping the future ends the plugin at its next epoch tick; that is how the deadline works.
    pub(crate) async fn call<V>(
        &self,
        decision: &Decision,
        ask: impl AsyncFnOnce(&mut Store<CallState>, &DirectoryPlugin) -> wasmtime::Result<V>,
    ) -> Result<V, HookFailure> {
        let _turn = match timeout(self.limits.deadline, self.turns.acquire()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) | Err(_) => {
                return Err(HookFailure::Unavailable {
                    detail: format!(
                        "all {} of the plugin's calls are taken",
                        self.limits.concurrent_calls
                    ),
                });
            }
        };
        self.in_time(async {
            let mut store = self.store(decision)?;
            let instance = self.pre.instantiate_async(&mut store).await?;
            ask(&mut store, &instance).await
        })
        .await
    }

    /// Starts an instance and compares the types of its hook with the contract's, without asking it anything. The
    /// inner result is the comparison's.
    pub(crate) async fn start(
        &self,
        decision: &Decision,
    ) -> Result<wasmtime::Result<()>, HookFailure> {
        self.in_time(async {
            let mut store = self.store(decision)?;
            let instance_pre = self.pre.instance_pre();
            let instance = instance_pre.instantiate_async(&mut store).await?;
            Ok(DirectoryPlugin::new(&mut store, &instance).map(drop))
        })
        .await
    }

    async fn in_time<V>(
        &self,
        work: impl Future<Output = wasmtime::Result<V>>,
    ) -> Result<V, HookFailure> {
        match timeout(self.limits.deadline, work).await {
            Ok(answer) => answer.map_err(|error| failure(&error, &self.limits)),
            Err(_) => Err(HookFailure::DeadlineExceeded {
                limit_ms: self.limits.deadline_ms(),
            }),
        }
    }

    fn store(&self, decision: &Decision) -> wasmtime::Result<Store<CallState>> {
        let state = CallState::new(self, decision);
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.ceiling);
        store.set_fuel(self.limits.fuel)?;
        store.set_hostcall_fuel(self.limits.copied_bytes);
        store.set_max_component_handles(self.limits.handles);
        // Each tick lets other tasks run, and the deadline be noticed; how many there were does not count.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Ok(store)
    }
}

/// Which failure an engine's error is, by its type and never by its text.
fn failure(error: &wasmtime::Error, limits: &Limits) -> HookFailure {
    if let Some(ours) = error.downcast_ref::<HookFailure>() {
        return ours.clone();
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::OutOfFuel => HookFailure::OutOfFuel { limit: limits.fuel },
            other => HookFailure::Trapped {
                detail: other.to_string(),
            },
        };
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return HookFailure::Trapped {
            detail: format!("it exited with status {status}"),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return HookFailure::Unavailable {
            detail: "all instances of the host are taken".to_owned(),
        };
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return HookFailure::HostCallLimit {
            what: "handles".to_owned(),
            limit: limits.handles as u64,
        };
    }
    // What is left is the engine refusing to lift what the plugin handed over: bytes that are no UTF-8, a pointer into
    // nowhere, a handle that it does not have, more bytes than it may move.
    HookFailure::InvalidAnswer {
        detail: error.root_cause().to_string(),
    }
}
