//! From a file's bytes to a plugin that may be bound: every reason to refuse one is found here and not in production.

use std::collections::BTreeSet;

use lanyard_policy::Capability;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::contract::CONTRACT;
use crate::error::LoadError;
use crate::host::PluginHost;
use crate::manifest::Manifest;
use crate::plugin::Plugin;
use crate::sandbox;
use crate::tape::sha256;

/// The package of the contract.
const PACKAGE: &str = "lanyard:policy/";
/// The function that needs a grant beyond that of its interface.
const REVEAL: &str = "[method]secret.reveal";

impl PluginHost {
    /// Checks a component, and compiles it off the executor's threads. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`LoadError`], one sentence for each thing that can be wrong with a component.
    pub async fn load(&self, bytes: Vec<u8>) -> Result<Plugin, LoadError> {
        if bytes.len() > self.capacity.component_bytes {
            return Err(LoadError::TooLarge {
                size: bytes.len(),
                limit: self.capacity.component_bytes,
            });
        }
        recognise(&bytes)?;
        let sha256 = sha256(&bytes);
        let manifest = Manifest::of(&bytes)?;
        let (component, was_cached) = self.component(bytes, &sha256).await?;
        let capabilities = self.capabilities(&component)?;
        let pre =
            self.linker
                .instantiate_pre(&component)
                .map_err(|error| LoadError::ImportMismatch {
                    detail: format!("{error:#}"),
                })?;
        let exports = self.exports(&component)?;
        let plugin = Plugin::new(self, pre, capabilities, exports, sha256, was_cached);
        plugin.declaring(manifest)
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
    fn capabilities(&self, component: &Component) -> Result<BTreeSet<Capability>, LoadError> {
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
                return Err(unknown());
            };
            if version != CONTRACT {
                return Err(LoadError::UnknownContract {
                    import: import.to_owned(),
                });
            }
            // Types are no capability, and a binding's settings are its own.
            if ["types", "settings"].contains(&name) {
                continue;
            }
            let known = Capability::ALL
                .into_iter()
                .filter(|capability| *capability != Capability::RevealSecrets)
                .find(|capability| capability.as_str() == name);
            used.insert(known.ok_or_else(unknown)?);
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
    fn exports(&self, component: &Component) -> Result<BTreeSet<String>, LoadError> {
        let mut exports = BTreeSet::new();
        for (export, _) in component.component_type().exports(&self.engine) {
            let (interface, version) = export.split_once('@').unwrap_or((export, ""));
            if let Some(name) = interface.strip_prefix(PACKAGE) {
                if version != CONTRACT {
                    return Err(LoadError::UnknownContract {
                        import: export.to_owned(),
                    });
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
