//! From a file's bytes to a plugin that may be bound: every reason to refuse one is found here and not in production.

use std::sync::Arc;

use lanyard_policy::{Decision, HookFailure};
use tokio::sync::Semaphore;
use wasmtime::component::Component;

use crate::bindings::DirectoryPluginPre;
use crate::call::Callable;
use crate::host::PluginHost;
use crate::limits::Limits;
use crate::{WasmDirectory, sandbox};

/// The version of the contract that this host speaks.
const CONTRACT: &str = "0.1.0-dev";
/// The capabilities of the contract that this host has.
const CAPABILITIES: [&str; 3] = ["types", "log", "secrets"];

/// Why a component is not a plugin that this host runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is larger than the host compiles.
    #[error("the file has {size} bytes, and at most {limit} are compiled")]
    TooLarge {
        /// Size of the file, in bytes.
        size: usize,
        /// [`Capacity::component_bytes`](crate::Capacity::component_bytes).
        limit: usize,
    },
    /// The file is something else.
    #[error("the file is {found} and not a WebAssembly component; build it for wasm32-wasip2")]
    NotAComponent {
        /// What the file seems to be.
        found: &'static str,
    },
    /// The file says that it is a component, and the engine does not accept it.
    #[error("the component is not valid: {detail}")]
    Invalid {
        /// The engine's words.
        detail: String,
    },
    /// The component wants something that no plugin gets.
    #[error("the component imports `{import}`, which this host does not provide to plugins")]
    UnknownImport {
        /// Full name of the import.
        import: String,
    },
    /// The component was made for another version of the contract.
    #[error(
        "the component imports `{import}`, and this host speaks version {CONTRACT} of the contract"
    )]
    UnknownContract {
        /// Full name of the import.
        import: String,
    },
    /// The component imports a known interface, with functions or types that this host's version of it does not have.
    #[error("the component's imports do not fit this host: {detail}")]
    ImportMismatch {
        /// The engine's words, naming interface and function.
        detail: String,
    },
    /// The component lacks the hook it was to be bound to, or has it with other types.
    #[error("the component does not export the hook `{hook}` as the contract has it: {detail}")]
    WrongHook {
        /// Full name of the interface.
        hook: String,
        /// The engine's words.
        detail: String,
    },
    /// The component does not fit the memory that an instance may have.
    #[error("the plugin may have {limit} bytes of memory, and an instance has room for {room}")]
    MemoryBeyondCapacity {
        /// [`Limits::memory_bytes`].
        limit: usize,
        /// [`Capacity::memory_bytes`](crate::Capacity::memory_bytes).
        room: usize,
    },
    /// The component fails before it is asked anything.
    #[error("the component fails as soon as it is started")]
    DoesNotStart(#[source] HookFailure),
}

impl PluginHost {
    /// Makes a directory of a component. Compiles off the executor's threads, then starts one instance as a trial.
    ///
    /// `name` is the binding's: persons belong to the directory of this name. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`LoadError`], one sentence for each thing that can be wrong with a component.
    pub async fn load_directory(
        &self,
        name: &str,
        bytes: Vec<u8>,
        limits: Limits,
    ) -> Result<WasmDirectory, LoadError> {
        self.admit(&bytes, &limits)?;
        let component = self.compile(bytes).await?;
        self.check_imports(&component)?;
        let pre =
            self.linker
                .instantiate_pre(&component)
                .map_err(|error| LoadError::ImportMismatch {
                    detail: format!("{error:#}"),
                })?;
        let pre = DirectoryPluginPre::new(pre).map_err(|error| wrong_directory(&error))?;
        let callable = Callable {
            plugin: Arc::from(name),
            engine: self.engine.clone(),
            pre,
            verifying: Arc::clone(&self.verifications),
            turns: Arc::new(Semaphore::new(limits.concurrent_calls)),
            limits: Arc::new(limits),
        };
        try_out(&callable).await?;
        Ok(WasmDirectory::new(callable))
    }

    fn admit(&self, bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
        if bytes.len() > self.capacity.component_bytes {
            return Err(LoadError::TooLarge {
                size: bytes.len(),
                limit: self.capacity.component_bytes,
            });
        }
        if limits.memory_bytes > self.capacity.memory_bytes {
            return Err(LoadError::MemoryBeyondCapacity {
                limit: limits.memory_bytes,
                room: self.capacity.memory_bytes,
            });
        }
        recognise(bytes)
    }

    async fn compile(&self, bytes: Vec<u8>) -> Result<Component, LoadError> {
        let engine = self.engine.clone();
        let compiled =
            tokio::task::spawn_blocking(move || Component::from_binary(&engine, &bytes)).await;
        match compiled {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(error)) => Err(LoadError::Invalid {
                detail: format!("{error:#}"),
            }),
            Err(stopped) => Err(LoadError::Invalid {
                detail: format!("its compilation was cut short: {stopped}"),
            }),
        }
    }

    /// Before the linker looks: its own words name the first missing function, and not what the plugin wanted.
    fn check_imports(&self, component: &Component) -> Result<(), LoadError> {
        for (import, _) in component.component_type().imports(&self.engine) {
            let (interface, version) = import.split_once('@').unwrap_or((import, ""));
            let import = import.to_owned();
            match interface.strip_prefix("lanyard:policy/") {
                Some(_) if version != CONTRACT => {
                    return Err(LoadError::UnknownContract { import });
                }
                Some(name) if CAPABILITIES.contains(&name) => {}
                None if sandbox::INTERFACES.contains(&interface) => {}
                Some(_) | None => return Err(LoadError::UnknownImport { import }),
            }
        }
        Ok(())
    }
}

/// A component and a core module begin with the same four bytes; the layer is in the seventh.
fn recognise(bytes: &[u8]) -> Result<(), LoadError> {
    let found = match bytes {
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => "a core WebAssembly module",
        [b'\x7f', b'E', b'L', b'F', ..] => "native or precompiled code",
        [] => "empty",
        _ => "no WebAssembly at all",
    };
    Err(LoadError::NotAComponent { found })
}

/// The engine looks up exports by name when it is linked, and compares types only with an instance at hand.
async fn try_out(callable: &Callable) -> Result<(), LoadError> {
    let occasion = Decision {
        id: "load".to_owned(),
        at_ms: 0,
        seed: [0; 32],
    };
    callable
        .start(&occasion)
        .await
        .map_err(LoadError::DoesNotStart)?
        .map_err(|error| wrong_directory(&error))
}

fn wrong_directory(error: &wasmtime::Error) -> LoadError {
    LoadError::WrongHook {
        hook: format!("lanyard:policy/directory@{CONTRACT}"),
        detail: format!("{error:#}"),
    }
}
