//! Plugins that were bound, on their way into the engine's chains.

use std::sync::Arc;

use lanyard_engine::{Ceilings, Hooks, LocalUsers, Schedule, Shadow};
use lanyard_policy::{
    AnyHook, Binding, CommandSelection, Directory, DirectoryChain, EnrollmentApproval,
    EnrollmentChain, EventSink, RaApproval, RaChain, SelectionChain,
};

use super::{BindingDocument, document::Mode};

/// Bindings by hook point.
#[derive(Default)]
pub(super) struct Bound {
    directories: Vec<Binding<dyn Directory>>,
    enrollments: Vec<Binding<dyn EnrollmentApproval>>,
    certificates: Vec<Binding<dyn RaApproval>>,
    selections: Vec<Binding<dyn CommandSelection>>,
    events: Vec<Binding<dyn EventSink>>,
    shadows: Vec<Shadow>,
}

impl Bound {
    /// Puts a hook where its binding says.
    pub(super) fn add(&mut self, binding: &BindingDocument, hook: AnyHook) {
        let name = binding.name.clone();
        if binding.mode == Mode::Shadow {
            self.shadows.push(Shadow { name, hook });
            return;
        }
        let side = binding.on_failure;
        match hook {
            AnyHook::Directory(hook) => self.directories.push(Binding::new(name, hook)),
            AnyHook::EnrollmentApproval(hook) => {
                (self.enrollments).push(Binding::new(name, hook).failing(side));
            }
            AnyHook::RaApproval(hook) => self.certificates.push(Binding::new(name, hook)),
            AnyHook::CommandSelection(hook) => {
                (self.selections).push(Binding::new(name, hook).failing(side));
            }
            AnyHook::Event(hook) => self.events.push(Binding::new(name, hook)),
        }
    }

    /// The chains of them, with the native directory as the last one.
    pub(super) fn hooks(
        mut self,
        local_users: Arc<LocalUsers>,
        schedules: Vec<(String, Schedule)>,
        ceilings: Ceilings,
    ) -> Hooks {
        let local_users: Arc<dyn Directory> = local_users;
        (self.directories).push(Binding::new(LocalUsers::NAME, local_users));
        Hooks {
            directory: DirectoryChain::new(self.directories),
            enrollment: EnrollmentChain::new(self.enrollments),
            ra: RaChain::new(self.certificates),
            selection: SelectionChain::new(self.selections),
            events: self.events,
            shadows: self.shadows,
            schedules,
            revision: None,
            ceilings,
        }
    }
}
