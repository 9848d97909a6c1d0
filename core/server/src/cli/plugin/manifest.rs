//! What a component says of itself: shown, and written into components that no SDK of ours made.

use std::{error::Error, fs, path::Path};

use lanyard_policy::HookPoint;
use lanyard_wasm::{Manifest, Plugin, Room};
use serde_json::Value;

use super::super::{Outcome, print, show};

/// What `inspect` says of a component, in lines.
pub(super) fn shown(file: &Path, plugin: &Plugin, room: Room, facts: &Value) -> String {
    let mut lines = vec![file.display().to_string()];
    let mut line = |what: &str, text: String| lines.push(format!("  {what:<9} {text}"));
    let manifest = plugin.manifest();
    line(
        "says",
        manifest.map_or_else(
            || "nothing of itself: it has no manifest".to_owned(),
            |manifest| format!("that it is {} {}", manifest.name, manifest.version),
        ),
    );
    line(
        "sha256",
        facts["sha256"].as_str().unwrap_or_default().to_owned(),
    );
    line("size", format!("{} bytes", facts["bytes"]));
    line("room", room.as_str().to_owned());
    let hooks: Vec<&str> = plugin.hooks().map(HookPoint::as_str).collect();
    line("answers", or_nothing(&hooks));
    let reasons = manifest.and_then(|manifest| manifest.grants.as_ref());
    let names: Vec<&str> = plugin
        .capabilities()
        .iter()
        .map(|capability| capability.as_str())
        .collect();
    match reasons {
        None => line("uses", or_nothing(&names)),
        Some(reasons) if reasons.is_empty() => line("uses", or_nothing(&[])),
        Some(reasons) => {
            for (at, (capability, reason)) in reasons.iter().enumerate() {
                let what = if at == 0 { "uses" } else { "" };
                line(what, format!("{}: {reason}", capability.as_str()));
            }
        }
    }
    let is_described = manifest.is_some_and(|manifest| manifest.settings_schema.is_some());
    line(
        "settings",
        match (plugin.takes_settings(), is_described) {
            (false, _) => "none",
            (true, false) => "are checked by it",
            (true, true) => "are checked by it, and described by a schema (--json shows it)",
        }
        .to_owned(),
    );
    let mut text = lines.join("\n");
    text.retain(|each| each == '\n' || !show::steers(each));
    text
}

fn or_nothing(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        _ => names.join(", "),
    }
}

/// Writes a manifest into a component that has none, if a server would believe it.
pub(super) async fn write(file: &Path, manifest: &Path) -> Outcome {
    let shown = manifest.display();
    let json = fs::read(manifest).map_err(|error| format!("{shown}: {error}"))?;
    let manifest =
        Manifest::from_json(&json).map_err(|error| Unusable(shown.to_string(), error))?;
    let mut component = super::read(file)?;
    let (plugin, _) = super::load(file, component.clone(), None).await?;
    if plugin.manifest().is_some() {
        return Err(format!("{} has a manifest already", file.display()).into());
    }
    manifest.append_to(&mut component);
    super::load(file, component.clone(), None).await?;
    replace(file, &component)?;
    print(&format!(
        "{} says that it is {} {}.",
        file.display(),
        manifest.name,
        manifest.version
    ))
}

/// A manifest cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no manifest")]
struct Unusable(String, #[source] lanyard_wasm::ManifestError);

/// Beside it first: a component that is cut off half-way would be nobody's.
fn replace(file: &Path, component: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let written = fs::write(&beside, component).and_then(|()| fs::rename(&beside, file));
    Ok(written.map_err(|error| format!("{}: {error}", file.display()))?)
}
