//! A policy as it is written, in TOML by operators and in JSON in the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lanyard_policy::{Capability, Ceiling, FailureSide, HookPoint};
use lanyard_wasm::{Limits, Recording, Room, Terms};

use serde::{Deserialize, Serialize};

use super::reach::{HttpDocument, LdapDocument, RedirectDocument, SecretsDocument};

/// `policy.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// In the order in which they are asked, hook by hook. The native directory is asked after all others.
    #[serde(default, rename = "binding")]
    pub(crate) bindings: Vec<BindingDocument>,
}

/// `[[binding]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindingDocument {
    /// Which question it answers.
    pub(crate) hook: HookPoint,
    /// Unique among the bindings of its hook. For a directory, persons belong to this name.
    pub(crate) name: String,
    /// The component's file, beside the policy.
    pub(crate) plugin: String,
    /// SHA-256 of the component, lower-case hex. Filled in when the policy is applied; if it is written, it must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// How much room its instances need.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) room: Room,
    /// What the plugin reads.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub(crate) settings: serde_json::Map<String, serde_json::Value>,
    /// When an event binding hears of a tick, as cron writes it, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schedule: Option<String>,
    /// What of the host's it may call.
    #[serde(default)]
    pub(crate) grants: BTreeSet<Capability>,
    /// The directories that it may search.
    #[serde(default, skip_serializing_if = "LdapDocument::is_default")]
    pub(crate) ldap: LdapDocument,
    /// Where its HTTP requests may go.
    #[serde(default, skip_serializing_if = "HttpDocument::is_default")]
    pub(crate) http: HttpDocument,
    /// Where secrets may go.
    #[serde(default, skip_serializing_if = "SecretsDocument::is_default")]
    pub(crate) secrets: SecretsDocument,
    /// Where a directory may send a browser.
    #[serde(default, skip_serializing_if = "RedirectDocument::is_default")]
    pub(crate) redirect: RedirectDocument,
    /// The commands that it may issue.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) commands: Ceiling,
    /// Whether its answers count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) mode: Mode,
    /// What its failure means.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) on_failure: FailureSide,
    /// How much of what the host answers it is kept with its decisions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) record: Record,
    /// What one call may use up, where that is not the default.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) limits: LimitsDocument,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// It decides.
    #[default]
    Enforce,
    /// It is asked beside those that decide, what it says is recorded, and nothing comes of it. It reaches nothing outside.
    Shadow,
}

/// `record`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Record {
    /// The answers, sealed: its decisions can be made again.
    #[default]
    Full,
    /// Their digests.
    Digest,
}

/// `[binding.limits]`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mib: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent_calls: Option<u16>,
}

impl LimitsDocument {
    fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            fuel: self.fuel.unwrap_or(default.fuel),
            deadline: self
                .deadline_ms
                .map_or(default.deadline, Duration::from_millis),
            memory_bytes: self
                .memory_mib
                .map_or(default.memory_bytes, |mib| usize::from(mib) << 20),
            host_calls: self.host_calls.unwrap_or(default.host_calls),
            concurrent_calls: self
                .concurrent_calls
                .map_or(default.concurrent_calls, |calls| usize::from(calls).max(1)),
            ..default
        }
    }
}

impl BindingDocument {
    /// The terms on which the plugin is bound.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            name: self.name.clone(),
            settings: serde_json::Value::Object(self.settings.clone()).to_string(),
            grants: self.granted(),
            limits: self.limits.limits(),
            recording: match self.record {
                Record::Full => Recording::Full,
                Record::Digest => Recording::Digest,
            },
        }
    }

    /// How it is called towards operators.
    pub(crate) fn title(&self) -> String {
        format!("{} `{}`", self.hook, self.name)
    }
}

impl Document {
    /// What is different from `before`, a line each: bindings that came, went or changed, by hook and name.
    pub(crate) fn differences(&self, before: &Self) -> Vec<String> {
        let by_title = |document: &Self| -> BTreeMap<String, BindingDocument> {
            let bindings = document.bindings.iter();
            bindings
                .map(|binding| (binding.title(), binding.clone()))
                .collect()
        };
        let (old, new) = (by_title(before), by_title(self));
        let gone = old.keys().filter(|title| !new.contains_key(*title));
        let mut lines: Vec<String> = gone.map(|title| format!("- {title}")).collect();
        for (title, binding) in &new {
            match old.get(title) {
                None => lines.push(format!("+ {title}: {}", binding.plugin)),
                Some(before) => lines.extend(
                    changes(before, binding)
                        .into_iter()
                        .map(|change| format!("~ {title}: {change}")),
                ),
            }
        }
        let order = |document: &Self| -> Vec<String> {
            let bindings = document.bindings.iter().map(BindingDocument::title);
            bindings
                .filter(|title| old.contains_key(title) && new.contains_key(title))
                .collect()
        };
        if order(before) != order(self) {
            lines.push("~ the order of the bindings".to_owned());
        }
        lines
    }
}

fn changes(before: &BindingDocument, after: &BindingDocument) -> Vec<String> {
    let mut changes = Vec::new();
    if before.sha256 != after.sha256 {
        changes.push(format!("another component ({})", after.plugin));
    }
    if before.room != after.room {
        changes.push(format!(
            "room {}, before {}",
            after.room.as_str(),
            before.room.as_str()
        ));
    }
    if before.grants != after.grants {
        let names = |grants: &BTreeSet<Capability>| {
            let names: Vec<&str> = grants.iter().map(|grant| grant.as_str()).collect();
            names.join(", ")
        };
        changes.push(format!(
            "grants [{}], before [{}]",
            names(&after.grants),
            names(&before.grants)
        ));
    }
    let beyond = [
        ("ldap", before.ldap != after.ldap),
        ("http", before.http != after.http),
        ("secrets", before.secrets != after.secrets),
        ("redirect", before.redirect != after.redirect),
    ];
    let beyond = beyond.iter().filter(|(_, changed)| *changed);
    changes.extend(beyond.map(|(section, _)| format!("what {section} may reach")));
    if before.settings != after.settings {
        // Settings may hold what is not for everybody's eyes: their names are enough.
        let names = before.settings.keys().chain(after.settings.keys());
        let changed: BTreeSet<&str> = names
            .filter(|name| before.settings.get(*name) != after.settings.get(*name))
            .map(String::as_str)
            .collect();
        let changed: Vec<&str> = changed.into_iter().collect();
        changes.push(format!("settings {}", changed.join(", ")));
    }
    if before.commands != after.commands {
        let granted = |ceiling: &Ceiling| {
            let names = ceiling.allow.iter().chain(&ceiling.destructive);
            names.map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        changes.push(format!(
            "commands [{}], before [{}]",
            granted(&after.commands),
            granted(&before.commands)
        ));
    }
    if before.mode != after.mode {
        changes.push(match after.mode {
            Mode::Enforce => "decides, and was on trial before".to_owned(),
            Mode::Shadow => "is on trial, and decided before".to_owned(),
        });
    }
    if before.on_failure != after.on_failure {
        changes.push("what its failure means".to_owned());
    }
    if before.record != after.record {
        changes.push("what is recorded".to_owned());
    }
    if before.schedule != after.schedule {
        changes.push("schedule".to_owned());
    }
    if before.limits != after.limits {
        changes.push("limits".to_owned());
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        toml::from_str(text).unwrap()
    }

    const ONE: &str = r#"
        [[binding]]
        hook = "directory"
        name = "school"
        plugin = "school.wasm"
        grants = ["log", "secrets"]
        settings = { url = "https://x.example" }
        limits = { deadline_ms = 250, memory_mib = 8 }
    "#;

    #[test]
    fn what_is_written_is_what_is_bound() {
        let one = document(ONE);
        let terms = one.bindings[0].terms();
        assert_eq!(terms.name, "school");
        assert_eq!(terms.settings, r#"{"url":"https://x.example"}"#);
        assert_eq!(terms.limits.deadline, Duration::from_millis(250));
        assert_eq!(terms.limits.memory_bytes, 8 << 20);
        assert_eq!(terms.limits.fuel, Limits::default().fuel);
        let stored = serde_json::to_value(&one).unwrap();
        assert_eq!(serde_json::from_value::<Document>(stored).unwrap(), one);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (from, to, part) in [
            (
                "hook = \"directory\"",
                "hook = \"directori\"",
                "enrollment-approval",
            ),
            ("grants", "grant", "unknown field `grant`"),
            ("\"log\"", "\"logs\"", "unknown variant `logs`"),
        ] {
            let error = toml::from_str::<Document>(&ONE.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(error.contains(part) && error.contains("line"), "{error}");
        }
    }

    #[test]
    fn differences_are_told_by_binding_and_without_values() {
        let before = document(ONE);
        let after = document(
            &ONE.replace("https://x", "https://y")
                .replace("name =", "room = \"large\"\nname =")
                .replace("[\"log\", \"secrets\"]", "[\"log\"]"),
        );
        assert_eq!(
            after.differences(&before),
            [
                "~ directory `school`: room large, before ordinary",
                "~ directory `school`: grants [log], before [log, secrets]",
                "~ directory `school`: settings url",
            ]
        );
        assert_eq!(
            before.differences(&Document::default()),
            ["+ directory `school`: school.wasm"]
        );
        assert_eq!(
            Document::default().differences(&before),
            ["- directory `school`"]
        );
        assert!(before.differences(&before).is_empty());
    }
}
