//! A component that was found to be a plugin, and its way into a binding.

use std::collections::BTreeSet;
use std::sync::Arc;

use lanyard_policy::{AnyHook, Capability, Decision, HookPoint, Meter, Tape};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::InstancePre;

use crate::call::Callable;
use crate::contract::CONTRACT;
use crate::error::LoadError;
use crate::grant::Grants;
use crate::hook::{
    DirectoryHook, EnrollmentHook, EventHook, Hook, RaHook, SelectionHook, SettingsHook,
    WasmCommandSelection, WasmDirectory, WasmEnrollmentApproval, WasmEventSink, WasmRaApproval,
};
use crate::host::{Capacity, Common, PluginHost};
use crate::limits::Limits;
use crate::manifest::{Manifest, ManifestError};
use crate::state::{Bound, CallState};
use crate::tape::{Recording, sha256};
use crate::trust;

/// A binding without settings.
const NO_SETTINGS: &str = "{}";

/// On what terms a plugin is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The binding's name: persons belong to the directory of this name.
    pub name: String,
    /// What the operator set: a JSON object.
    pub settings: String,
    /// What of the host's it may use, and for what.
    pub grants: Grants,
    /// What one call may use up.
    pub limits: Limits,
    /// How much of the host's answers is kept.
    pub recording: Recording,
}

impl Terms {
    /// No settings, every capability with nothing to use it on, and the ordinary limits.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: NO_SETTINGS.to_owned(),
            grants: Grants::of(Capability::ALL),
            limits: Limits::default(),
            recording: Recording::default(),
        }
    }
}

/// What a component is, as far as that can be told without running it.
pub(crate) struct Description {
    /// What it uses of the host's.
    pub(crate) capabilities: BTreeSet<Capability>,
    /// What it exports of the contract, by the interfaces' names.
    pub(crate) exports: BTreeSet<String>,
    /// What it says of itself.
    pub(crate) manifest: Option<Manifest>,
    /// SHA-256 of the component, lower-case hex.
    pub(crate) sha256: String,
}

impl Description {
    fn hooks(&self) -> impl Iterator<Item = HookPoint> {
        let all = HookPoint::ALL.into_iter();
        all.filter(|point| self.exports.contains(point.as_str()))
    }

    fn takes_settings(&self) -> bool {
        self.exports.contains(SettingsHook::INTERFACE)
    }

    /// What its manifest says and is not so.
    pub(crate) fn lies(&self) -> Vec<ManifestError> {
        let hooks = self.hooks().collect();
        let manifest = self.manifest.iter();
        manifest
            .flat_map(|manifest| manifest.lies(&hooks, &self.capabilities, self.takes_settings()))
            .collect()
    }

    /// What it uses and is not granted.
    pub(crate) fn not_granted(&self, grants: &Grants) -> impl Iterator<Item = LoadError> {
        let used = self.capabilities.iter();
        let missing = used.filter(|used| grants.capability(**used).is_err());
        let manifest = self.manifest.as_ref();
        let reasons = manifest.and_then(|manifest| manifest.grants.as_ref());
        missing.map(move |capability| LoadError::NotGranted {
            capability: capability.as_str(),
            reason: reasons.and_then(|reasons| reasons.get(capability)).cloned(),
        })
    }
}

/// A compiled plugin. Cheap to clone; what it is bound as runs independently of it.
#[derive(Clone)]
pub struct Plugin {
    engine: Engine,
    pre: InstancePre<CallState>,
    description: Arc<Description>,
    common: Common,
    capacity: Capacity,
    was_cached: bool,
}

impl Plugin {
    pub(crate) fn new(
        host: &PluginHost,
        pre: InstancePre<CallState>,
        description: Description,
        was_cached: bool,
    ) -> Self {
        Self {
            engine: host.engine.clone(),
            pre,
            description: Arc::new(description),
            common: host.common.clone(),
            capacity: host.capacity.clone(),
            was_cached,
        }
    }

    /// What it says of itself; `None` if it says nothing, as components of other languages may.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.description.manifest.as_ref()
    }

    /// The hook points that it answers.
    pub fn hooks(&self) -> impl Iterator<Item = HookPoint> {
        self.description.hooks()
    }

    /// The capabilities that it uses.
    pub fn capabilities(&self) -> &BTreeSet<Capability> {
        &self.description.capabilities
    }

    /// Whether it was found in the host's [`Cache`](crate::Cache), and not compiled.
    pub fn was_cached(&self) -> bool {
        self.was_cached
    }

    /// Whether it has settings, which it checks itself.
    pub fn takes_settings(&self) -> bool {
        self.description.takes_settings()
    }

    /// Binds it as a directory.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn directory(&self, terms: Terms) -> Result<WasmDirectory, LoadError> {
        self.bind::<DirectoryHook>(terms)
            .await
            .map(WasmDirectory::new)
    }

    /// Binds it as an enrollment approval.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn enrollment_approval(
        &self,
        terms: Terms,
    ) -> Result<WasmEnrollmentApproval, LoadError> {
        self.bind::<EnrollmentHook>(terms)
            .await
            .map(WasmEnrollmentApproval::new)
    }

    /// Binds it as a certificate approval.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn ra_approval(&self, terms: Terms) -> Result<WasmRaApproval, LoadError> {
        self.bind::<RaHook>(terms).await.map(WasmRaApproval::new)
    }

    /// Binds it as a command selection.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn command_selection(&self, terms: Terms) -> Result<WasmCommandSelection, LoadError> {
        self.bind::<SelectionHook>(terms)
            .await
            .map(WasmCommandSelection::new)
    }

    /// Binds it as an event sink.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn event_sink(&self, terms: Terms) -> Result<WasmEventSink, LoadError> {
        self.bind::<EventHook>(terms).await.map(WasmEventSink::new)
    }

    /// Binds it at a hook point that is known only when it runs.
    ///
    /// # Errors
    /// [`LoadError`]
    pub async fn bind_at(&self, point: HookPoint, terms: Terms) -> Result<AnyHook, LoadError> {
        Ok(match point {
            HookPoint::Directory => AnyHook::Directory(Arc::new(self.directory(terms).await?)),
            HookPoint::EnrollmentApproval => {
                AnyHook::EnrollmentApproval(Arc::new(self.enrollment_approval(terms).await?))
            }
            HookPoint::RaApproval => AnyHook::RaApproval(Arc::new(self.ra_approval(terms).await?)),
            HookPoint::CommandSelection => {
                AnyHook::CommandSelection(Arc::new(self.command_selection(terms).await?))
            }
            HookPoint::Event => AnyHook::Event(Arc::new(self.event_sink(terms).await?)),
        })
    }

    /// Everything that would otherwise be found in production: grants, memory, settings, types, a start that fails.
    async fn bind<H: Hook>(&self, mut terms: Terms) -> Result<Callable<H>, LoadError> {
        let answered: Vec<&str> = self.hooks().map(HookPoint::as_str).collect();
        if answered.is_empty() {
            return Err(LoadError::NoHook);
        }
        if !answered.contains(&H::INTERFACE) {
            return Err(LoadError::WrongHook {
                hook: full_name::<H>(),
                detail: format!("it answers {}", answered.join(", ")),
            });
        }
        if let Some(missing) = self.description.not_granted(&terms.grants).next() {
            return Err(missing);
        }
        if terms.limits.memory_bytes > self.capacity.memory_bytes {
            return Err(LoadError::MemoryBeyondCapacity {
                limit: terms.limits.memory_bytes,
                room: self.capacity.memory_bytes,
            });
        }
        let most = (self.capacity.instances as usize / 2).max(1);
        terms.limits.concurrent_calls = terms.limits.concurrent_calls.min(most);
        let tls = trust::client_config(terms.grants.http.roots.as_deref())?;
        let bound = Arc::new(Bound {
            tls,
            name: Arc::from(terms.name),
            settings_sha256: sha256(terms.settings.as_bytes()),
            settings: Arc::from(terms.settings),
            plugin_sha256: Arc::from(self.description.sha256.as_str()),
            recording: terms.recording,
            places: Semaphore::new(terms.limits.concurrent_calls),
            limits: Arc::new(terms.limits),
            grants: Arc::new(terms.grants),
            common: self.common.clone(),
        });
        let callable = self.try_out::<H>(&bound).await?;
        self.check_settings(&bound).await?;
        Ok(callable)
    }

    /// The engine looks up exports by name when it is linked, and compares types only with an instance at hand.
    async fn try_out<H: Hook>(&self, bound: &Arc<Bound>) -> Result<Callable<H>, LoadError> {
        let wrong_hook = |error: wasmtime::Error| LoadError::WrongHook {
            hook: full_name::<H>(),
            detail: format!("{error:#}"),
        };
        let callable = Callable::<H>::new(self.engine.clone(), self.pre.clone(), Arc::clone(bound))
            .map_err(wrong_hook)?;
        callable
            .start(&at_load())
            .await
            .map_err(LoadError::DoesNotStart)?
            .map_err(wrong_hook)?;
        Ok(callable)
    }

    /// Lets the plugin look at its settings. One that has none takes none.
    async fn check_settings(&self, bound: &Arc<Bound>) -> Result<(), LoadError> {
        if !self.takes_settings() {
            return if &*bound.settings == NO_SETTINGS {
                Ok(())
            } else {
                Err(LoadError::Settings {
                    reason: "the plugin takes none".to_owned(),
                })
            };
        }
        let check = self.try_out::<SettingsHook>(bound).await?;
        let settings = Arc::clone(&bound.settings);
        let checked = check
            .call(&at_load(), async |store, plugin| {
                let hook = plugin.lanyard_policy_settings_check();
                let checked = hook.call_check(store, &settings).await?;
                Ok(Ok(checked))
            })
            .await
            .map_err(LoadError::DoesNotStart)?;
        checked.map_err(|reason| LoadError::Settings { reason })
    }
}

/// The hook's name as a component exports it.
fn full_name<H: Hook>() -> String {
    format!("lanyard:policy/{}@{CONTRACT}", H::INTERFACE)
}

/// The occasion on which nothing is decided yet: nothing outside is reached either, whatever is granted.
fn at_load() -> Decision {
    Decision {
        id: "load".to_owned(),
        at_ms: 0,
        seed: [0; 32],
        meter: Meter::replaying(Tape::default()),
    }
}
