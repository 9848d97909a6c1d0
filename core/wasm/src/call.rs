//! One call: a store with its budgets, a fresh instance, and what went wrong if something did.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lanyard_policy::{Called, Decision, HookFailure, Used};
use tokio::time::timeout;
use tracing::{Span, field::Empty};
use wasmtime::component::{InstancePre, ResourceTableError};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use crate::hook::Hook;
use crate::limits::Limits;
use crate::state::{Bound, CallState};
use crate::turns::FREE_TICKS;

/// What runs plugins, as records name it.
pub const ENGINE: &str = "wasmtime 48.0.8";

/// A hook of a plugin that is ready to be called, however often and from wherever.
pub(crate) struct Callable<H: Hook> {
    pub(crate) bound: Arc<Bound>,
    engine: Engine,
    pre: InstancePre<CallState>,
    indices: Arc<H::Indices>,
}

impl<H: Hook> Clone for Callable<H> {
    fn clone(&self) -> Self {
        Self {
            bound: Arc::clone(&self.bound),
            engine: self.engine.clone(),
            pre: self.pre.clone(),
            indices: Arc::clone(&self.indices),
        }
    }
}

impl<H: Hook> Callable<H> {
    /// Looks the hook's functions up by name.
    ///
    /// # Errors
    /// The component does not export them.
    pub(crate) fn new(
        engine: Engine,
        pre: InstancePre<CallState>,
        bound: Arc<Bound>,
    ) -> wasmtime::Result<Self> {
        let indices = Arc::new(H::find(&pre)?);
        Ok(Self {
            bound,
            engine,
            pre,
            indices,
        })
    }

    /// Makes an instance, runs `ask` with it, and takes it down again. The inner result is the plugin's own: it cannot tell.
    ///
    /// Dropping the future ends the plugin at its next epoch tick; that is how the deadline works.
    #[tracing::instrument(
        name = "call plugin",
        level = "debug",
        skip_all,
        fields(hook = H::INTERFACE, binding = %self.bound.name, fuel = Empty, failure = Empty, otel.status_code = Empty)
    )]
    pub(crate) async fn call<V>(
        &self,
        decision: &Decision,
        ask: impl AsyncFnOnce(&mut Store<CallState>, &H::Exports) -> wasmtime::Result<Result<V, String>>,
    ) -> Result<V, HookFailure> {
        let limits = &self.bound.limits;
        let _place = match timeout(limits.deadline, self.bound.places.acquire()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) | Err(_) => {
                let failure = HookFailure::Unavailable {
                    detail: format!(
                        "all {} of the plugin's calls are taken",
                        limits.concurrent_calls
                    ),
                };
                self.counted(Some(&failure), limits.deadline, 0);
                return Err(failure);
            }
        };
        let started = Instant::now();
        let mut called = Called {
            used: Used {
                binding: self.bound.name.to_string(),
                plugin: self.bound.plugin_sha256.to_string(),
                settings: self.bound.settings_sha256.clone(),
                engine: ENGINE.to_owned(),
                ..Used::default()
            },
            host_calls: Vec::new(),
        };
        let answer = self
            .in_time(async {
                let mut store = self.store(decision)?;
                let answer = async {
                    let instance = self.pre.instantiate_async(&mut store).await?;
                    let exports = H::load(&self.indices, &mut store, &instance)?;
                    ask(&mut store, &exports).await
                }
                .await;
                called.used.fuel = limits.fuel - store.get_fuel()?;
                called.used.host_calls = store.data().host_calls();
                called.host_calls = std::mem::take(&mut store.data_mut().taping.made);
                answer
            })
            .await;
        let took = started.elapsed();
        called.used.micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let fuel = called.used.fuel;
        decision.meter.note(called);
        let answer = answer.and_then(|answer| {
            answer.map_err(|said| HookFailure::Unavailable {
                detail: one_line(&said),
            })
        });
        self.counted(answer.as_ref().err(), took, fuel);
        answer
    }

    /// Notes a call where operators see it: in the counters, and in the trace of what it was made for.
    fn counted(&self, failure: Option<&HookFailure>, took: Duration, fuel: u64) {
        self.bound
            .common
            .calls
            .count(H::INTERFACE, failure, took, fuel);
        let span = Span::current();
        span.record("fuel", fuel);
        if let Some(failure) = failure {
            span.record("failure", failure.code());
            span.record("otel.status_code", "ERROR");
        }
    }

    /// Starts an instance and compares the types of its hook with the contract's, without asking it anything. The
    /// inner result is the comparison's.
    pub(crate) async fn start(
        &self,
        decision: &Decision,
    ) -> Result<wasmtime::Result<()>, HookFailure> {
        self.in_time(async {
            let mut store = self.store(decision)?;
            let instance = self.pre.instantiate_async(&mut store).await?;
            Ok(H::load(&self.indices, &mut store, &instance).map(drop))
        })
        .await
    }

    async fn in_time<V>(
        &self,
        work: impl Future<Output = wasmtime::Result<V>>,
    ) -> Result<V, HookFailure> {
        let limits = &self.bound.limits;
        match timeout(limits.deadline, work).await {
            Ok(answer) => answer.map_err(|error| failure(&error, limits)),
            Err(_) => Err(HookFailure::DeadlineExceeded {
                limit_ms: limits.deadline_ms(),
            }),
        }
    }

    fn store(&self, decision: &Decision) -> wasmtime::Result<Store<CallState>> {
        let limits = &self.bound.limits;
        let mut store = Store::new(&self.engine, CallState::new(&self.bound, decision));
        store.limiter(|state| &mut state.ceiling);
        store.set_fuel(limits.fuel)?;
        store.set_hostcall_fuel(limits.copied_bytes);
        store.set_max_component_handles(limits.handles);
        // Waiting lets other tasks run, and the deadline be noticed; how many ticks there were does not count.
        store.set_epoch_deadline(FREE_TICKS);
        let turns = Arc::clone(&self.bound.common.turns);
        store.epoch_deadline_callback(move |_| {
            let turns = Arc::clone(&turns);
            let turn = async move { turns.wait().await };
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(turn)))
        });
        Ok(store)
    }
}

/// What a plugin says of itself goes to operators: one line, and not a long one.
fn one_line(said: &str) -> String {
    const MOST: usize = 1024;
    let printable = said.chars().filter(|character| !character.is_control());
    let mut line: String = printable.take(MOST).collect();
    line.truncate(line.floor_char_boundary(MOST));
    line
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
