//! From a file's bytes to a plugin that may be bound: every reason to refuse one is found here and not in production. A server stops at the
//! first; an author is told all.

use std::collections::BTreeSet;

use lanyard_policy::Capability;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::contract::CONTRACT;
use crate::error::LoadError;
use crate::host::PluginHost;
use crate::manifest::Manifest;
use crate::plugin::{Description, Plugin, Terms};
use crate::sandbox;
use crate::tape::sha256;

/// The package of the contract.
const PACKAGE: &str = "lanyard:policy/";
/// The function that needs a grant beyond that of its interface.
const REVEAL: &str = "[method]secret.reveal";

/// What becomes of something that is wrong: `Err` ends the load with it.
type Found<'a> = &'a mut (dyn FnMut(LoadError) -> Result<(), LoadError> + Send);

/// A component that was compiled, and is not linked yet.
struct Compiled {
    component: Component,
    was_cached: bool,
    description: Description,
}

impl PluginHost {
    /// Checks a component, and compiles it off the executor's threads. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`LoadError`], one sentence for each thing that can be wrong with a component.
    pub async fn load(&self, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
        let compiled = self.compiled(bytes, &mut Err).await?;
        self.link(compiled)
    }

    /// Finds all that is wrong with a component and with binding it on these terms to each hook that it answers; and the plugin, if it can be
    /// one. What hides something else comes alone: of a component that does not compile, nothing is known.
    pub async fn examine(&self, bytes: Vec<u8>, terms: &Terms) -> (Option<Plugin>, Vec<LoadError>) {
        let mut problems = Vec::new();
        let mut keep = |problem| {
            problems.push(problem);
            Ok(())
        };
        let compiled = self.compiled(bytes, &mut keep).await;
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(last) => {
                problems.push(last);
                return (None, problems);
            }
        };
        problems.extend(compiled.description.not_granted(&terms.grants));
        let is_foreign = |problem: &LoadError| {
            matches!(
                problem,
                LoadError::UnknownImport { .. } | LoadError::UnknownContract { .. }
            )
        };
        if problems.iter().any(is_foreign) {
            // Linking would say so once more, in the engine's words.
            return (None, problems);
        }
        let plugin = match self.link(compiled) {
            Ok(plugin) => plugin,
            Err(mismatch) => {
                problems.push(mismatch);
                return (None, problems);
            }
        };
        // What is not granted is known by now, and hides nothing any more. Nothing outside is reached while a plugin is bound.
        let mut terms = terms.clone();
        terms.grants.capabilities.extend(Capability::ALL);
        let hooks: Vec<_> = plugin.hooks().collect();
        if hooks.is_empty() {
            problems.push(LoadError::NoHook);
        }
        for hook in hooks {
            if let Err(problem) = plugin.bind_at(hook, terms.clone()).await
                && !problems.contains(&problem)
            {
                problems.push(problem);
            }
        }
        (Some(plugin), problems)
    }

    /// Everything that can be told of a component before it is linked.
    async fn compiled(&self, bytes: Vec<u8>, found: Found<'_>) -> Result<Compiled, LoadError> {
        if bytes.len() > self.capacity.component_bytes {
            return Err(LoadError::TooLarge {
                size: bytes.len(),
                limit: self.capacity.component_bytes,
            });
        }
        recognise(&bytes)?;
        let sha256 = sha256(&bytes);
        let manifest = match Manifest::of(&bytes) {
            Ok(manifest) => manifest,
            Err(unbelievable @ LoadError::Manifest(_)) => {
                found(unbelievable)?;
                None
            }
            Err(invalid) => return Err(invalid),
        };
        let (component, was_cached) = self.component(bytes, &sha256).await?;
        let description = Description {
            capabilities: self.capabilities(&component, found)?,
            exports: self.exports(&component, found)?,
            manifest,
            sha256,
        };
        for lie in description.lies() {
            found(lie.into())?;
        }
        Ok(Compiled {
            component,
            was_cached,
            description,
        })
    }

    fn link(&self, compiled: Compiled) -> Result<Plugin, LoadError> {
        let Compiled {
            component,
            was_cached,
            description,
        } = compiled;
        let linked = self.linker.instantiate_pre(&component);
        let pre = linked.map_err(|error| LoadError::ImportMismatch {
            detail: format!("{error:#}"),
        })?;
        Ok(Plugin::new(self, pre, description, was_cached))
    }

    /// The component, and whether it was compiled before. What was kept goes through the same checks afterwards as what was not.
    async fn component(
        &self,
        bytes: Vec<u8>,
        sha256: &str,
    ) -> Result<(Component, bool), LoadError> {
        let engine = self.engine.clone();
        let place = self
            .cache
            .as_ref()
            .map(|cache| cache.place(&engine, sha256));
        let compiled = tokio::task::spawn_blocking(move || {
            if let Some(kept) = place.as_ref().and_then(|place| place.find(&engine)) {
                return Ok((kept, true));
            }
            let component = compile(&engine, &bytes)?;
            if let Some(place) = place {
                place.keep(&component);
            }
            Ok((component, false))
        });
        compiled.await.unwrap_or_else(|stopped| {
            Err(LoadError::Invalid {
                detail: format!("its compilation was cut short: {stopped}"),
            })
        })
    }

    /// What the component uses. Before the linker looks: its own words name the first missing function, and not what the plugin
    /// wanted.
    fn capabilities(
        &self,
        component: &Component,
        found: Found<'_>,
    ) -> Result<BTreeSet<Capability>, LoadError> {
        let mut used = BTreeSet::new();
        for (import, item) in component.component_type().imports(&self.engine) {
            let (interface, version) = import.split_once('@').unwrap_or((import, ""));
            let unknown = || LoadError::UnknownImport {
                import: import.to_owned(),
            };
            let Some(name) = interface.strip_prefix(PACKAGE) else {
                if sandbox::INTERFACES.contains(&interface) {
                    continue;
                }
                found(unknown())?;
                continue;
            };
            if version != CONTRACT {
                found(LoadError::UnknownContract {
                    import: import.to_owned(),
                })?;
                continue;
            }
            // Types are no capability, and a binding's settings are its own.
            if ["types", "settings"].contains(&name) {
                continue;
            }
            let known = Capability::ALL
                .into_iter()
                .filter(|capability| *capability != Capability::RevealSecrets)
                .find(|capability| capability.as_str() == name);
            let Some(known) = known else {
                found(unknown())?;
                continue;
            };
            used.insert(known);
            // Imports are pruned function by function: only a component that reads secrets has this one.
            if let ComponentItem::ComponentInstance(interface) = item.ty
                && interface.get_export(&self.engine, REVEAL).is_some()
            {
                used.insert(Capability::RevealSecrets);
            }
        }
        Ok(used)
    }

    /// What it exports of the contract, by the interfaces' names.
    fn exports(
        &self,
        component: &Component,
        found: Found<'_>,
    ) -> Result<BTreeSet<String>, LoadError> {
        let mut exports = BTreeSet::new();
        for (export, _) in component.component_type().exports(&self.engine) {
            let (interface, version) = export.split_once('@').unwrap_or((export, ""));
            if let Some(name) = interface.strip_prefix(PACKAGE) {
                if version != CONTRACT {
                    found(LoadError::UnknownContract {
                        import: export.to_owned(),
                    })?;
                    continue;
                }
                exports.insert(name.to_owned());
            }
        }
        Ok(exports)
    }
}

fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, LoadError> {
    Component::from_binary(engine, bytes).map_err(|error| {
        let detail = format!("{error:#}");
        // Compiling alone asks for no room: what it does not object to is a component that the pool refused.
        match engine.precompile_component(bytes) {
            Ok(_) => LoadError::NoRoom { detail },
            Err(_) => LoadError::Invalid { detail },
        }
    })
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
