//! `lanyard plugin`: looks at components as a server would, without one.

mod check;
mod manifest;
mod question;
mod scaffold;
pub(super) mod signing;
mod test;

use std::{error::Error, fs, path::Path};

use lanyard_pki::Digest;
use lanyard_policy::{Capability, HookPoint};
use lanyard_wasm::{Grants, LoadError, Plugin, Room, Rooms, Terms};
use serde_json::{Value, json};

use question::{Answer, Measured, Question};

use super::{
    Connect, Outcome,
    arguments::{Asking, PluginAction},
    decisions, print, print_json,
};
use crate::{observability, policy::Document};

pub(super) async fn run(client: Connect<'_>, action: PluginAction, json_output: bool) -> Outcome {
    match action {
        PluginAction::Shadow(trial) => decisions::shadow(&client()?, trial, json_output).await,
        PluginAction::Inspect { file } => {
            let component = read(&file)?;
            let (plugin, room) = load(&file, component.clone(), None).await?;
            let facts = facts(&component, &plugin, room);
            if json_output {
                print_json(&facts)
            } else {
                print(&manifest::shown(&file, &plugin, room, &facts))
            }
        }
        PluginAction::Manifest { file, with } => manifest::write(&file, &with).await,
        PluginAction::Check {
            file,
            settings,
            grant,
        } => {
            let terms = terms(&settings, &grant)?;
            let component = read(&file)?;
            let (plugin, room) = check::check(&file, component.clone(), &terms).await?;
            if json_output {
                let mut facts = facts(&component, &plugin, room);
                facts["bound"] = facts["answers"].clone();
                print_json(&facts)
            } else {
                let hooks: Vec<&str> = plugin.hooks().map(HookPoint::as_str).collect();
                let needs = match room {
                    Room::Ordinary => "",
                    Room::Large => " Its binding needs `room = \"large\"`.",
                };
                print(&format!(
                    "{} can be bound: {}.{needs}",
                    file.display(),
                    hooks.join(", ")
                ))
            }
        }
        PluginAction::New { folder, hook, sdk } => {
            scaffold::write(&folder, hook, &sdk)?;
            print(&format!(
                "{0} is a plugin for {hook}. Next: `cd {0}`, `cargo test`, and what its README says.",
                folder.display()
            ))
        }
        PluginAction::Test { file, arguments } => test::run(&file, &arguments).await,
        PluginAction::Run { asking } => {
            observability::log_to_stderr();
            let Answer { verdict, used } = question(&asking).await?.put().await;
            let verdict = verdict?;
            if json_output {
                return print_json(&json!({ "verdict": verdict, "used": used }));
            }
            print_json(&verdict)?;
            print(&format!(
                "fuel {}, host calls {}, {} µs",
                used.fuel, used.host_calls, used.micros
            ))
        }
        PluginAction::Bench { asking, calls } => {
            let question = question(&asking).await?;
            let measured = Measured::of(&question, calls.try_into()?).await?;
            if json_output {
                print_json(&serde_json::to_value(measured)?)
            } else {
                print(&measured.report())
            }
        }
        PluginAction::Keygen { key } => signing::keygen(&key),
        PluginAction::Sign { file, key } => signing::sign(&file, &key),
        PluginAction::Verify { file, trusted } => signing::verify(&file, &trusted),
    }
}

/// Binds the component to the hook that is asked, and reads the question.
async fn question(asking: &Asking) -> Result<Question, Box<dyn Error>> {
    let (room, terms) = match (&asking.policy, &asking.binding) {
        (Some(policy), Some(name)) => {
            let shown = policy.display();
            let text = fs::read_to_string(policy).map_err(|error| format!("{shown}: {error}"))?;
            let document: Document =
                toml::from_str(&text).map_err(|error| format!("{shown}: {error}"))?;
            let mut bindings = document.bindings.iter();
            let binding =
                bindings.find(|binding| binding.hook == asking.hook && binding.name == *name);
            let binding = binding
                .ok_or_else(|| format!("{shown}: there is no binding {} `{name}`", asking.hook))?;
            (Some(binding.room), binding.terms())
        }
        _ => (None, terms(&asking.settings, &asking.grant)?),
    };
    let shown = asking.question.display();
    let question =
        fs::read_to_string(&asking.question).map_err(|error| format!("{shown}: {error}"))?;
    let question = serde_json::from_str(&question).map_err(|error| format!("{shown}: {error}"))?;
    let (plugin, _) = load(&asking.file, read(&asking.file)?, room).await?;
    Question::new(&plugin, asking.hook, terms, question).await
}

/// The terms of a binding with the ordinary limits.
fn terms(settings: &str, grants: &[String]) -> Result<Terms, Box<dyn Error>> {
    let settings: serde_json::Map<String, Value> = serde_json::from_str(settings)
        .map_err(|error| format!("--settings is no JSON object: {error}"))?;
    let capabilities = grants.iter().map(|name| capability(name));
    Ok(Terms {
        settings: Value::Object(settings).to_string(),
        grants: Grants::of(capabilities.collect::<Result<Vec<_>, _>>()?),
        ..Terms::new("desk")
    })
}

/// A component cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no plugin that a server would load")]
struct NotLoaded(String, #[source] LoadError);

/// Loads a component into this room, or into the smallest that it fits into.
async fn load(
    file: &Path,
    component: Vec<u8>,
    room: Option<Room>,
) -> Result<(Plugin, Room), Box<dyn Error>> {
    let rooms = Rooms::new()?;
    let loaded = match room {
        Some(room) => rooms
            .load(room, component)
            .await
            .map(|plugin| (plugin, room)),
        None => rooms.fit(component).await,
    };
    Ok(loaded.map_err(|error| NotLoaded(file.display().to_string(), error))?)
}

/// What can be told of a component, for machines to read.
fn facts(component: &[u8], plugin: &Plugin, room: Room) -> Value {
    json!({
        "sha256": hex::encode(Digest::sha256(component)),
        "bytes": component.len(),
        "room": room,
        "answers": plugin.hooks().collect::<Vec<_>>(),
        "uses": plugin.capabilities(),
        "takes_settings": plugin.takes_settings(),
        "manifest": plugin.manifest(),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn capability(name: &str) -> Result<Capability, String> {
    let known = Capability::ALL;
    let found = known.into_iter().find(|known| known.as_str() == name);
    found.ok_or_else(|| {
        format!(
            "{name:?} is no capability: write one of {}",
            known.map(Capability::as_str).join(", ")
        )
    })
}
