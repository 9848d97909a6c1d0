//! Runs the tests of a plugin inside of the host: what `cargo test --target wasm32-wasip2` builds are programs, one for each test
//! target, and this is what cargo starts them with.
//!
//! They get the engine, the memory, the clock and the random of plugins, and no capability of the host: the SDK's feature `test` answers
//! in its place, as it does natively. Unlike plugins they have arguments, write to this process's standard output and error,
//! and may take as long as they like: a program runs all tests of its target. They too have no environment, file or socket.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::host::{Capacity, PluginHost, StartError};
use crate::limits::{Ceiling, Limits};
use crate::sandbox;

/// More than plugins have: tests are built with what debuggers need.
const PROGRAM_BYTES: usize = 256 << 20;

/// How a program with tests ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestsEnded {
    /// With success.
    Passed,
    /// With a failure's status. WASI knows but one: whatever a program exits with arrives as 1.
    Failed(i32),
    /// It broke off, as a panic makes it: there is no unwinding in WebAssembly, so the first test that fails ends its program.
    BrokeOff(String),
}

/// A file is no program with tests, or cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum TestsError {
    /// The engine does not start.
    #[error("the engine does not start")]
    Start(#[from] StartError),
    /// It is larger than is compiled.
    #[error("the file has {size} bytes, and at most {PROGRAM_BYTES} are compiled")]
    TooLarge {
        /// Size of the file, in bytes.
        size: usize,
    },
    /// The engine does not accept it.
    #[error("the file is no valid component: {detail}")]
    Invalid {
        /// The engine's words.
        detail: String,
    },
    /// It calls the real host.
    #[error(
        "the program calls `{import}` of the host, which tests do not get; the feature `test` of lanyard-sdk answers in its place: \
         under [dev-dependencies], lanyard-sdk with features = [\"test\"] would be right"
    )]
    Capability {
        /// Full name of the import.
        import: String,
    },
    /// It wants what nothing here gets.
    #[error("the program imports `{import}`, which neither plugins nor their tests get")]
    UnknownImport {
        /// Full name of the import.
        import: String,
    },
    /// It is a plugin, or a library.
    #[error(
        "the component is no program: it does not export wasi:cli/run, as what `cargo test` builds does"
    )]
    NoProgram,
}

/// Runs a program with tests to its end. `arguments` begin with the program's name, as everywhere. Must be called within a Tokio runtime.
///
/// # Errors
/// [`TestsError`]: it was not run.
pub async fn run_tests(program: &[u8], arguments: &[String]) -> Result<TestsEnded, TestsError> {
    let size = program.len();
    if size > PROGRAM_BYTES {
        return Err(TestsError::TooLarge { size });
    }
    let capacity = Capacity {
        instances: 1,
        ..Capacity::default()
    };
    let invalid = |error: wasmtime::Error| TestsError::Invalid {
        detail: format!("{error:#}"),
    };
    let engine = PluginHost::new(capacity.clone())?.engine;
    // Nobody else waits for this thread.
    let component = Component::from_binary(&engine, program).map_err(invalid)?;
    check_program(&engine, &component)?;
    let mut linker = Linker::new(&engine);
    sandbox::link::<Desk>(&mut linker).map_err(invalid)?;
    let limits = Limits {
        memory_bytes: capacity.memory_bytes,
        ..Limits::default()
    };
    let mut store = Store::new(
        &engine,
        Desk {
            wasi: sandbox::program(arguments),
            table: ResourceTable::new(),
            ceiling: Ceiling::new(&limits),
        },
    );
    store.limiter(|desk| &mut desk.ceiling);
    store.set_fuel(u64::MAX).map_err(invalid)?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let command = match Command::instantiate_async(&mut store, &component, &linker).await {
        Ok(command) => command,
        Err(error) => return Ok(TestsEnded::BrokeOff(format!("{error:#}"))),
    };
    Ok(match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => TestsEnded::Passed,
        Ok(Err(())) => TestsEnded::Failed(1),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => TestsEnded::Passed,
            Some(I32Exit(status)) => TestsEnded::Failed(*status),
            None => TestsEnded::BrokeOff(error.root_cause().to_string()),
        },
    })
}

/// Before the linker looks, whose words would not help.
fn check_program(engine: &Engine, component: &Component) -> Result<(), TestsError> {
    let ty = component.component_type();
    if !ty
        .exports(engine)
        .any(|(export, _)| export.starts_with("wasi:cli/run@"))
    {
        return Err(TestsError::NoProgram);
    }
    for (import, _) in ty.imports(engine) {
        let interface = import.split('@').next().unwrap_or(import);
        if interface.starts_with("lanyard:policy/") {
            let import = import.to_owned();
            return Err(TestsError::Capability { import });
        }
        if !sandbox::INTERFACES.contains(&interface) {
            let import = import.to_owned();
            return Err(TestsError::UnknownImport { import });
        }
    }
    Ok(())
}

/// Everything that belongs to the program.
struct Desk {
    wasi: WasiCtx,
    table: ResourceTable,
    ceiling: Ceiling,
}

impl WasiView for Desk {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
