//! `lanyard plugin check`: all that a server would refuse, at once.

use std::{error::Error, path::Path};

use lanyard_engine::ErrorChain;
use lanyard_wasm::{Manifest, Plugin, Room, Rooms, Terms};

use crate::policy::hold_settings_against;

/// Examines a component, and its settings by its own schema.
///
/// # Errors
/// One sentence for each thing that is wrong.
pub(super) async fn check(
    file: &Path,
    component: Vec<u8>,
    terms: &Terms,
) -> Result<(Plugin, Room), Box<dyn Error>> {
    let manifest = Manifest::of(&component).ok().flatten();
    let (plugin, problems) = Rooms::new()?.examine(component, terms).await?;
    let mut sentences: Vec<String> = problems
        .iter()
        // A plugin's own words among them are no sentences of ours.
        .map(|problem| ErrorChain(problem).to_string().replace('\n', " "))
        .collect();
    if let Some(schema) = manifest.and_then(|manifest| manifest.settings_schema)
        && let Err(misfits) =
            hold_settings_against(&schema, &serde_json::from_str(&terms.settings)?)
    {
        sentences.extend(
            misfits
                .to_string()
                .lines()
                .map(|line| line.trim().to_owned()),
        );
    }
    match plugin {
        Some(plugin) if sentences.is_empty() => Ok(plugin),
        _ => Err(format!(
            "{} cannot be bound:\n  {}",
            file.display(),
            sentences.join("\n  ")
        )
        .into()),
    }
}
