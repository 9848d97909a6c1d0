//! What a component says of itself: JSON in a custom section, which is read without running anything. It is the author's word, for
//! operators to read before they bind the plugin; what can be compared with the component is, and a plugin that lies is not loaded.

use std::collections::{BTreeMap, BTreeSet};

use lanyard_policy::{Capability, HookPoint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wasmparser::{Parser, Payload};

use crate::contract::{NAME_BYTES, TEXT_BYTES};
use crate::error::LoadError;

/// The custom section's name. The SDK writes it into the module within a component, other tools at the component's end.
const SECTION: &str = "lanyard:manifest";
/// The largest manifest that is read, in bytes. A schema of settings has a few thousand.
const SECTION_BYTES: usize = 64 << 10;

/// A component's own word on what it is and wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What its author calls it: 1 to 255 bytes.
    pub name: String,
    /// Its version, in whatever numbers its author counts: 1 to 255 bytes.
    pub version: String,
    /// The hook points that it answers: exactly those that the component exports.
    pub hooks: BTreeSet<HookPoint>,
    /// The capabilities that it wants: exactly those that the component uses, each with the reason, 1 to 1,024 bytes. `None` if it says
    /// nothing of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<BTreeMap<Capability, String>>,
    /// A JSON Schema of its settings. The plugin itself checks them; this is for people, their editors, and whoever would say beforehand
    /// what the plugin will not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings_schema: Option<Map<String, Value>>,
}

/// Why a component's manifest is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Two of them, of which nobody could say which holds.
    #[error("there is more than one custom section `{SECTION}`; one is right")]
    Several,
    /// It is larger than is read.
    #[error("it has {size} bytes; at most {SECTION_BYTES} are read")]
    TooLarge {
        /// Size of the section, in bytes.
        size: usize,
    },
    /// It is no JSON, or has other members, or of other types.
    #[error("it cannot be read: {detail}")]
    Malformed {
        /// Where and what.
        detail: String,
    },
    /// A text of it is empty, too long, or more than a line.
    #[error("its {what} is not one line of 1 to {most} bytes")]
    Text {
        /// Which.
        what: String,
        /// The most bytes that are right.
        most: usize,
    },
    /// The component answers other hooks than it says.
    #[error("it says that the component answers {said}, and the component exports {exported}")]
    Hooks {
        /// What it says.
        said: String,
        /// What there is.
        exported: String,
    },
    /// The component uses what it does not ask for.
    #[error(
        "it does not ask for `{0}`, which the component uses; `grants` names it with the reason"
    )]
    Unasked(&'static str),
    /// It asks for what the component does not use.
    #[error("it asks for `{0}`, which the component does not use")]
    Unused(&'static str),
    /// It describes settings of a plugin that has none.
    #[error(
        "it has a schema of settings, and the component takes none: it does not export `settings-check`"
    )]
    NoSettings,
}

impl Manifest {
    /// Reads a manifest from JSON.
    ///
    /// # Errors
    /// [`ManifestError`]
    pub fn from_json(json: &[u8]) -> Result<Self, ManifestError> {
        if json.len() > SECTION_BYTES {
            return Err(ManifestError::TooLarge { size: json.len() });
        }
        let read: Self =
            serde_json::from_slice(json).map_err(|error| ManifestError::Malformed {
                detail: error.to_string(),
            })?;
        let texts = [("name", &read.name), ("version", &read.version)];
        for (what, text) in texts {
            check_line(what, text, NAME_BYTES)?;
        }
        for (capability, reason) in read.grants.iter().flatten() {
            let what = format!("reason for `{}`", capability.as_str());
            check_line(&what, reason, TEXT_BYTES)?;
        }
        Ok(read)
    }

    /// Adds it to a component that has none, at the end, where every tool may add custom sections.
    pub fn append_to(&self, component: &mut Vec<u8>) {
        let json = serde_json::to_vec(self).expect("plain data, whose keys are texts");
        let mut content = Vec::new();
        leb128(SECTION.len(), &mut content);
        content.extend_from_slice(SECTION.as_bytes());
        content.extend_from_slice(&json);
        component.push(0);
        leb128(content.len(), component);
        component.append(&mut content);
    }

    /// The manifest of a component, wherever in it; `None` if it has none. Nothing of the component is compiled or run, and nothing is
    /// compared with it.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] and [`LoadError::Manifest`]
    pub fn of(component: &[u8]) -> Result<Option<Self>, LoadError> {
        let mut found = None;
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(|error| LoadError::Invalid {
                detail: error.to_string(),
            })?;
            if let Payload::CustomSection(section) = payload
                && section.name() == SECTION
                && found.replace(section.data()).is_some()
            {
                return Err(ManifestError::Several.into());
            }
        }
        Ok(found.map(Self::from_json).transpose()?)
    }

    /// Compares it with what the component is: everything that is not so.
    pub(crate) fn lies(
        &self,
        hooks: &BTreeSet<HookPoint>,
        used: &BTreeSet<Capability>,
        takes_settings: bool,
    ) -> Vec<ManifestError> {
        let mut lies = Vec::new();
        if self.hooks != *hooks {
            lies.push(ManifestError::Hooks {
                said: listed(&self.hooks),
                exported: listed(hooks),
            });
        }
        if let Some(grants) = &self.grants {
            let unasked = used.iter().filter(|used| !grants.contains_key(used));
            lies.extend(unasked.map(|unasked| ManifestError::Unasked(unasked.as_str())));
            let unused = grants.keys().filter(|wanted| !used.contains(wanted));
            lies.extend(unused.map(|unused| ManifestError::Unused(unused.as_str())));
        }
        if self.settings_schema.is_some() && !takes_settings {
            lies.push(ManifestError::NoSettings);
        }
        lies
    }
}

fn check_line(what: &str, text: &str, most: usize) -> Result<(), ManifestError> {
    if (1..=most).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(ManifestError::Text {
        what: what.to_owned(),
        most,
    })
}

fn listed(hooks: &BTreeSet<HookPoint>) -> String {
    let names: Vec<&str> = hooks.iter().map(|hook| hook.as_str()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// A length as WebAssembly writes it: seven bits a byte, the lowest first.
fn leb128(mut length: usize, into: &mut Vec<u8>) {
    loop {
        let seven = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            into.push(seven);
            return;
        }
        into.push(seven | 0x80);
    }
}
