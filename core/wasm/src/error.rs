//! Why a component is not bound.

use lanyard_policy::{HookFailure, HookPoint};

use crate::contract::CONTRACT;
use crate::host::StartError;
use crate::manifest::ManifestError;
use crate::trust::RootsError;

/// Why a component is not a plugin that this host runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is larger than the host compiles.
    #[error(
        "the file has {size} bytes, and at most {limit} are compiled for its room (`room = \"large\"` takes up to 32 MiB)"
    )]
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
    /// The component is valid, and larger than an instance may be.
    #[error(
        "the component needs more room than its instances have (a binding can give it `room = \"large\"`): {detail}"
    )]
    NoRoom {
        /// The engine's words.
        detail: String,
    },
    /// The engine for its room does not start.
    #[error("there is no engine for it")]
    NoEngine(#[from] StartError),
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
    /// What the component says of itself is not so.
    #[error("the component's manifest cannot be believed")]
    Manifest(#[from] ManifestError),
    /// The component uses a capability that its binding does not grant.
    #[error("the plugin uses `{capability}`, which its binding does not grant{}", given(reason.as_deref()))]
    NotGranted {
        /// The capability.
        capability: &'static str,
        /// What the plugin's manifest says it is for.
        reason: Option<String>,
    },
    /// The component answers none of the contract's hooks.
    #[error("the component exports no hook of the contract; a plugin answers at least one of {}", HookPoint::ALL.map(HookPoint::as_str).join(", "))]
    NoHook,
    /// The settings of the binding are not usable.
    #[error("the settings are not usable: {reason}")]
    Settings {
        /// What the plugin says is wrong, and what would be right.
        reason: String,
    },
    /// The component lacks the hook it was to be bound to, or has it with other types.
    #[error("the component does not export the hook `{hook}` as the contract has it: {detail}")]
    WrongHook {
        /// Full name of the interface.
        hook: String,
        /// The engine's words.
        detail: String,
    },
    /// The roots of its HTTP grant cannot be used.
    #[error("the HTTP grant cannot be used")]
    Roots(#[from] RootsError),
    /// The component does not fit the memory that an instance may have.
    #[error(
        "the plugin may have {limit} bytes of memory, and a memory has room for {room} (`room = \"large\"` is for more)"
    )]
    MemoryBeyondCapacity {
        /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
        limit: usize,
        /// [`Capacity::memory_bytes`](crate::Capacity::memory_bytes).
        room: usize,
    },
    /// The component fails before it is asked anything.
    #[error("the component fails as soon as it is started")]
    DoesNotStart(#[source] HookFailure),
}

/// An author's reason, as such: it is a plugin's text, and not ours.
fn given(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| {
        format!("; its author says what for: {reason:?}")
    })
}
