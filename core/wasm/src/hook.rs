//! The hooks that a component can answer, as the contract has them.

mod directory;
mod enrollment;
mod event;
mod ra;
mod selection;

use lanyard_policy::HookPoint;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

pub use directory::WasmDirectory;
pub use enrollment::WasmEnrollmentApproval;
pub use event::WasmEventSink;
pub use ra::WasmRaApproval;
pub use selection::WasmCommandSelection;

use crate::bindings;
use crate::state::CallState;

/// An interface that a component exports: how its functions are found in a component, and reached in an instance.
pub(crate) trait Hook: 'static {
    /// Its name, without package and version.
    const INTERFACE: &'static str;
    type Indices: Send + Sync;
    type Exports: Send + Sync;

    fn find(pre: &InstancePre<CallState>) -> wasmtime::Result<Self::Indices>;

    fn load(
        indices: &Self::Indices,
        store: &mut Store<CallState>,
        instance: &Instance,
    ) -> wasmtime::Result<Self::Exports>;
}

macro_rules! hook {
    ($(#[$doc:meta])* $name:ident, $interface:expr, $exports:path, $indices:path) => {
        $(#[$doc])*
        pub(crate) enum $name {}

        impl Hook for $name {
            const INTERFACE: &'static str = $interface;
            type Indices = $indices;
            type Exports = $exports;

            fn find(pre: &InstancePre<CallState>) -> wasmtime::Result<Self::Indices> {
                <$indices>::new(pre)
            }

            fn load(
                indices: &Self::Indices,
                store: &mut Store<CallState>,
                instance: &Instance,
            ) -> wasmtime::Result<Self::Exports> {
                indices.load(store, instance)
            }
        }
    };
}

hook!(
    /// Who is this person?
    DirectoryHook,
    HookPoint::Directory.as_str(),
    bindings::directory::DirectoryPlugin,
    bindings::directory::DirectoryPluginIndices
);
hook!(
    /// May this person enroll this device?
    EnrollmentHook,
    HookPoint::EnrollmentApproval.as_str(),
    bindings::enrollment::EnrollmentApprovalPlugin,
    bindings::enrollment::EnrollmentApprovalPluginIndices
);
hook!(
    /// May this certificate be issued?
    RaHook,
    HookPoint::RaApproval.as_str(),
    bindings::ra::RaApprovalPlugin,
    bindings::ra::RaApprovalPluginIndices
);
hook!(
    /// Which command next?
    SelectionHook,
    HookPoint::CommandSelection.as_str(),
    bindings::selection::CommandSelectionPlugin,
    bindings::selection::CommandSelectionPluginIndices
);
hook!(
    /// Something happened.
    EventHook,
    HookPoint::Event.as_str(),
    bindings::event::EventPlugin,
    bindings::event::EventPluginIndices
);
hook!(
    /// Are these settings usable? Not a hook point, but an export like one.
    SettingsHook,
    "settings-check",
    bindings::settings::SettingsPlugin,
    bindings::settings::SettingsPluginIndices
);
