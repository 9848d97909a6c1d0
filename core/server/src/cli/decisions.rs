//! `lanyard decisions`, and `lanyard plugin shadow`: what was decided, and what would be decided again. Plugins run in this process,
//! and reach nothing but the record.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use lanyard_wasm::{Room, Rooms};
use serde_json::{Value, json};

use super::{
    Connect, Outcome,
    arguments::{DecisionsAction, Trial},
    client::Client,
    path, print, print_json, query, show,
};
use crate::policy::{Candidate, Recorded, Replayed, Trial as Tried};

pub(super) async fn run(
    client: Connect<'_>,
    action: DecisionsAction,
    json_output: bool,
) -> Outcome {
    match action {
        DecisionsAction::List { hook, about } => {
            let target = query(&["decisions"], &[("hook", hook), ("about", about)]);
            let answer = client()?.get(&target).await?;
            if json_output {
                print_json(&answer["decisions"])
            } else {
                print(&show::decisions(&answer["decisions"]))
            }
        }
        DecisionsAction::Show { id } => {
            let decision = client()?.get(&path(&["decisions", &id])).await?;
            if json_output {
                print_json(&decision)
            } else {
                print(&show::decision(&decision))
            }
        }
        DecisionsAction::Export { id } => print_json(
            &client()?
                .get(&path(&["decisions", &id, "recorded"]))
                .await?,
        ),
        DecisionsAction::Replay { id, from } => {
            let recorded: Recorded = match (id, from) {
                (_, Some(file)) => {
                    let shown = file.display();
                    let text = fs::read(&file).map_err(|error| format!("{shown}: {error}"))?;
                    serde_json::from_slice(&text).map_err(|error| {
                        format!("{shown} is no decision as `lanyard decisions export` writes it: {error}")
                    })?
                }
                (id, None) => {
                    let id = id.unwrap_or_default();
                    let recorded = path(&["decisions", &id, "recorded"]);
                    serde_json::from_value(client()?.get(&recorded).await?)?
                }
            };
            report(
                &recorded.replay(&Rooms::new()?).await?,
                &recorded,
                json_output,
            )
        }
    }
}

/// Says that all is as it was; what is not makes the command fail.
fn report(replayed: &[Replayed], recorded: &Recorded, json_output: bool) -> Outcome {
    if json_output {
        print_json(&json!({ "decision": recorded.id, "plugins": replayed }))?;
    }
    let mut different = String::new();
    for part in replayed {
        let Replayed {
            binding,
            differences,
            fuel,
            host_calls,
        } = part;
        if differences.is_empty() && !json_output {
            print(&format!(
                "{binding}: the same verdict; fuel {fuel}, host calls {host_calls}"
            ))?;
        }
        for difference in differences {
            let difference = show::text(&difference.as_str().into());
            different.push_str(&format!("\n  {binding}: {difference}"));
        }
    }
    if different.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "decision {} is not made again as it was{different}",
            recorded.id
        )
        .into())
    }
}

/// Tries a plugin against what was decided.
pub(super) async fn shadow(client: &Client, trial: Trial, json_output: bool) -> Outcome {
    let Trial {
        file,
        hook,
        since,
        settings,
        binding,
    } = trial;
    let since = humantime::parse_duration(&since)
        .map_err(|error| format!("--since {since}: {error}; write 7d, 12h or 30m"))?;
    let since = SystemTime::now()
        .checked_sub(since)
        .and_then(|since| since.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    let settings = settings.as_deref().map(serde_json::from_str).transpose();
    let settings = settings.map_err(|error| format!("--settings is no JSON object: {error}"))?;
    let component = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    // The large one holds whatever the ordinary one does, and gives as much memory as any binding may.
    let plugin = Rooms::new()?.load(Room::Large, component).await?;
    let mut candidate = Candidate::new(plugin, binding, settings);
    let (mut same, mut others) = (0_u64, Vec::new());
    let mut after = None;
    loop {
        let page = client
            .get(&query(
                &["decisions", "recorded"],
                &[
                    ("hook", Some(hook.clone())),
                    ("since", Some(since.as_secs().to_string())),
                    ("after", after),
                ],
            ))
            .await?;
        for recorded in page["recorded"].as_array().into_iter().flatten() {
            let recorded: Recorded = serde_json::from_value(recorded.clone())?;
            match candidate.try_out(&recorded).await? {
                Tried::Same => same += 1,
                other => others.push((recorded.id, other)),
            }
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    if json_output {
        let others: Vec<Value> = others
            .iter()
            .map(|(id, other)| json!({ "decision": id, "trial": other }))
            .collect();
        return print_json(&json!({ "same": same, "others": others }));
    }
    for (id, other) in &others {
        let line = match other {
            Tried::Same => continue,
            Tried::Changed { before, after } => format!("{id}  would be {after}, was {before}"),
            Tried::Undetermined { needs } => format!("{id}  undetermined: needs {needs}"),
        };
        print(&show::text(&line.into()))?;
    }
    let undetermined = others
        .iter()
        .filter(|(_, other)| matches!(other, Tried::Undetermined { .. }))
        .count();
    print(&format!(
        "{same} the same, {} changed, {undetermined} undetermined",
        others.len() - undetermined
    ))
}
