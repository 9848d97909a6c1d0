//! From a document to hooks that are asked: components are checked, bound and tried out first, and only what works replaces what was.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_engine::{Ceilings, Engine, Hooks, LocalUsers};
use lanyard_pki::Digest;
use lanyard_store::{DecisionRecord, NewPlugin, PolicyRevision, Store, StoreError, StoredPlugin};
use lanyard_wasm::{Calls, Plugin, Room, Rooms};
use tokio::sync::Mutex;

use crate::signature::TrustedKeys;

use super::{
    BindingDocument, Document, PolicyRefused, Recorded, bound::Bound, consistency,
    recorded::ReplayError,
};

/// A policy that is in force now.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The revision's number.
    pub(crate) number: i64,
    /// What is different from the one before.
    pub(crate) differences: Vec<String>,
}

/// Applies policies.
#[derive(Clone)]
pub(crate) struct Policies(Arc<State>);

struct State {
    rooms: Rooms,
    store: Store,
    local_users: Arc<LocalUsers>,
    trusted: TrustedKeys,
    /// Those of the policy in force. Locked while a policy is applied, one after another.
    compiled: Mutex<Compiled>,
}

/// Compiled plugins by digest, for each room that they were compiled for.
type Compiled = HashMap<(Room, String), Plugin>;

impl Policies {
    pub(crate) fn new(
        rooms: Rooms,
        store: Store,
        local_users: Arc<LocalUsers>,
        trusted: TrustedKeys,
    ) -> Self {
        Self(Arc::new(State {
            rooms,
            store,
            local_users,
            trusted,
            compiled: Mutex::default(),
        }))
    }

    /// What is counted of the calls of plugins.
    pub(crate) fn calls(&self) -> &Calls {
        self.0.rooms.calls()
    }

    /// The hooks of the revision in force; of none, the native directory.
    ///
    /// # Errors
    /// [`PolicyRefused`]
    pub(crate) async fn at_start(&self) -> Result<Hooks, PolicyRefused> {
        self.latest(&mut *self.0.compiled.lock().await).await
    }

    /// Enforces the revision in force, which another node has applied.
    ///
    /// # Errors
    /// [`PolicyRefused`]; nothing is changed.
    pub(super) async fn enforce_latest(&self, engine: &Engine) -> Result<(), PolicyRefused> {
        let mut compiled = self.0.compiled.lock().await;
        let hooks = self.latest(&mut compiled).await?;
        let revision = hooks.revision;
        if revision != engine.policy_revision() {
            engine.replace_hooks(hooks);
            tracing::info!(revision, "policy of another node applied");
        }
        Ok(())
    }

    pub(super) async fn latest_number(&self) -> Result<Option<i64>, StoreError> {
        self.0.store.latest_policy_number().await
    }

    async fn latest(&self, compiled: &mut Compiled) -> Result<Hooks, PolicyRefused> {
        let latest = self.0.store.latest_policy().await?;
        let document = latest.as_ref().map(read).transpose()?.unwrap_or_default();
        let mut hooks = self.bind(&document, &HashMap::new(), compiled).await?;
        hooks.revision = latest.map(|revision| revision.number);
        Ok(hooks)
    }

    /// Checks, stores and enforces a policy. `components` are the files that it names.
    ///
    /// # Errors
    /// [`PolicyRefused`]; nothing is changed.
    pub(crate) async fn apply(
        &self,
        engine: &Engine,
        mut document: Document,
        components: &HashMap<String, StoredPlugin>,
        now: SystemTime,
    ) -> Result<Applied, PolicyRefused> {
        let mut compiled = self.0.compiled.lock().await;
        let mut by_digest = HashMap::new();
        for binding in &mut document.bindings {
            let Some(plugin) = components.get(&binding.plugin) else {
                return Err(PolicyRefused::binding(
                    binding,
                    "its component did not come along",
                ));
            };
            let digest = hex::encode(Digest::sha256(&plugin.component));
            match &binding.sha256 {
                Some(written) if *written != digest => {
                    let problem = format!(
                        "{} has the SHA-256 {digest}, and not {written}",
                        binding.plugin
                    );
                    return Err(PolicyRefused::binding(binding, &problem));
                }
                _ => binding.sha256 = Some(digest.clone()),
            }
            by_digest.insert(digest, plugin);
        }
        for binding in &document.bindings {
            if let Some(problem) = binding.unreachable(self.0.rooms.outside()) {
                return Err(PolicyRefused::binding(binding, &problem));
            }
        }
        let mut hooks = self.bind(&document, &by_digest, &mut compiled).await?;
        let before = match self.0.store.latest_policy().await? {
            Some(revision) => read(&revision)?,
            None => Document::default(),
        };
        let plugins: Vec<NewPlugin<'_>> = by_digest
            .iter()
            .map(|(sha256, plugin)| NewPlugin {
                sha256,
                component: &plugin.component,
                signature: plugin.signature.as_deref(),
            })
            .collect();
        let stored = serde_json::to_value(&document)?;
        let number = self.0.store.add_policy(&stored, &plugins, now).await?;
        hooks.revision = Some(number);
        engine.replace_hooks(hooks);
        tracing::info!(revision = number, "policy applied");
        Ok(Applied {
            number,
            differences: document.differences(&before),
        })
    }

    /// Applies what an earlier revision said, as a new one.
    ///
    /// # Errors
    /// [`PolicyRefused`]; nothing is changed.
    pub(crate) async fn roll_back(
        &self,
        engine: &Engine,
        number: i64,
        now: SystemTime,
    ) -> Result<Applied, PolicyRefused> {
        let revision = self.0.store.find_policy(number).await?;
        let document = read(&revision.ok_or(PolicyRefused::Unknown(number))?)?;
        let mut components = HashMap::new();
        for binding in &document.bindings {
            if let Some(sha256) = &binding.sha256
                && let Some(plugin) = self.0.store.find_plugin(sha256).await?
            {
                components.insert(binding.plugin.clone(), plugin);
            }
        }
        self.apply(engine, document, &components, now).await
    }

    /// Revisions, latest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn list(&self, limit: u64) -> Result<Vec<PolicyRevision>, StoreError> {
        self.0.store.list_policies(limit).await
    }

    /// One revision; without a number, the one in force.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn show(
        &self,
        number: Option<i64>,
    ) -> Result<Option<PolicyRevision>, StoreError> {
        match number {
            Some(number) => self.0.store.find_policy(number).await,
            None => self.0.store.latest_policy().await,
        }
    }

    /// A decision with what was bound when it was made.
    ///
    /// # Errors
    /// [`ReplayError`]
    pub(crate) async fn recorded(&self, record: DecisionRecord) -> Result<Recorded, ReplayError> {
        let revision = match record.policy {
            Some(number) => self.0.store.find_policy(number).await?,
            None => None,
        };
        let document = match &revision {
            Some(revision) => serde_json::from_value(revision.document.clone())?,
            None => Document::default(),
        };
        Recorded::new(record, document.bindings)
    }

    /// Puts the components beside a decision that they made.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn add_components(&self, recorded: &mut Recorded) -> Result<(), StoreError> {
        for sha256 in recorded
            .bindings
            .iter()
            .filter_map(|each| each.sha256.as_ref())
        {
            if let Some(plugin) = self.0.store.find_plugin(sha256).await? {
                let encoded = STANDARD.encode(plugin.component);
                recorded.components.insert(sha256.clone(), encoded);
            }
        }
        Ok(())
    }

    /// Looked at whenever a policy comes into force, since keys come and go: when it is applied, at start, and at a roll-back.
    fn require_trust(
        &self,
        binding: &BindingDocument,
        plugin: &StoredPlugin,
    ) -> Result<(), PolicyRefused> {
        let admitted = self
            .0
            .trusted
            .admit(&plugin.component, plugin.signature.as_deref());
        admitted.map_err(|error| PolicyRefused::Untrusted {
            binding: binding.title(),
            plugin: binding.plugin.clone(),
            error,
        })
    }

    async fn bind(
        &self,
        document: &Document,
        components: &HashMap<String, &StoredPlugin>,
        compiled: &mut Compiled,
    ) -> Result<Hooks, PolicyRefused> {
        consistency::check(document)?;
        let schedules = consistency::schedules(document)?;
        let mut needed = Compiled::new();
        let mut bound = Bound::default();
        for binding in &document.bindings {
            let digest = binding.sha256.as_deref().unwrap_or_default();
            let stored = match components.get(digest) {
                Some(brought) => Cow::Borrowed(*brought),
                None => Cow::Owned((self.0.store.find_plugin(digest).await?).ok_or_else(|| {
                    PolicyRefused::binding(binding, "its component is not in the store")
                })?),
            };
            self.require_trust(binding, &stored)?;
            let wanted = (binding.room, digest.to_owned());
            let plugin = match needed.get(&wanted).or_else(|| compiled.get(&wanted)) {
                Some(known) => Plugin::clone(known),
                None => {
                    let component = stored.into_owned().component;
                    let loaded = self.0.rooms.load(binding.room, component).await;
                    let plugin = loaded.map_err(|error| PolicyRefused::plugin(binding, error))?;
                    let (file, cached) = (binding.plugin.as_str(), plugin.was_cached());
                    tracing::info!(file, sha256 = digest, cached, "plugin loaded");
                    plugin
                }
            };
            let hook = plugin.bind_at(binding.hook, binding.terms()).await;
            bound.add(
                binding,
                hook.map_err(|error| PolicyRefused::plugin(binding, error))?,
            );
            needed.insert(wanted, plugin);
        }
        *compiled = needed;
        let ceilings = document.bindings.iter().map(|binding| {
            let by = (binding.hook, binding.name.clone());
            (by, binding.commands.clone())
        });
        Ok(bound.hooks(
            self.0.local_users.clone(),
            schedules,
            Ceilings::new(ceilings),
        ))
    }
}

fn read(revision: &PolicyRevision) -> Result<Document, PolicyRefused> {
    Ok(serde_json::from_value(revision.document.clone())?)
}
