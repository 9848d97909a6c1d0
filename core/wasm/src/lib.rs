//! Runs policy plugins: WebAssembly components that answer the hooks of `lanyard-policy`, each call in a fresh instance with
//! its own budget of fuel, time, memory and host calls. This crate does **not** decide which plugin is bound where, keeps no
//! record of decisions, and gives a plugin no files, sockets or environment.
//!
//! [`PluginHost`] holds the engine; [`PluginHost::load`] checks a component and makes it a [`Plugin`], which is bound to hooks on
//! [`Terms`]: a name, settings, grants, limits. [`Rooms`] are hosts for small and large plugins, and a [`Cache`] keeps what they
//! compiled. The contract is `sdk/wit/`.
//!
//! A plugin's clock and random come from the [`Decision`](lanyard_policy::Decision) alone, floating point is canonical and
//! relaxed SIMD is off: the same question gets the same answer for the same fuel. What ends at the wall-clock deadline or
//! by exhausting the stack is the exception.
//!
//! | breach | [`HookFailure`](lanyard_policy::HookFailure) |
//! |---|---|
//! | panic, illegal operation, stack exhausted, exit | `Trapped` |
//! | fuel spent | `OutOfFuel` |
//! | still busy or asleep at the deadline | `DeadlineExceeded` |
//! | memory or table grown too far | `MemoryLimit` |
//! | host calls, secret verifications, handles | `HostCallLimit` |
//! | something used that is not granted | `NotGranted` |
//! | no free instance | `Unavailable` |
//! | a call that a record has no answer for, where a decision is made again | `Undetermined` |
//! | an answer that breaks the contract, or is too large | `InvalidAnswer` |
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod bindings;
mod cache;
mod call;
mod calls;
mod capability;
mod contract;
mod credential;
mod directories;
mod error;
mod exchange;
mod filter;
mod grant;
mod hook;
mod host;
mod ldap_messages;
mod limits;
mod load;
mod log;
mod manifest;
mod plugin;
mod room;
mod sandbox;
mod secret;
mod state;
mod tape;
mod test_program;
mod trust;
mod turns;
mod verify;

pub use cache::{Cache, CacheError};
pub use call::ENGINE;
pub use calls::Calls;
pub use credential::{Credential, CredentialScheme, Credentials};
pub use directories::{Directories, DirectoryError, DirectorySettings, LdapDirectory};
pub use error::LoadError;
pub use grant::{Grants, HttpGrant, NotAPrefix, UrlPrefix};
pub use hook::{
    WasmCommandSelection, WasmDirectory, WasmEnrollmentApproval, WasmEventSink, WasmRaApproval,
};
pub use host::{Capacity, Outside, PluginHost, StartError};
pub use limits::Limits;
pub use manifest::{Manifest, ManifestError};
pub use plugin::{Plugin, Terms};
pub use room::{Room, Rooms};
pub use tape::Recording;
pub use test_program::{TestsEnded, TestsError, run_tests};
pub use trust::RootsError;
