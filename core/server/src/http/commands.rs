//! The commands of all devices, over the administration's API.

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use lanyard_engine::Engine;
use lanyard_store::{CommandFilter, CommandPlace, CommandState, MAX_PAGE};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    admin::{PAGE, command_json},
    failure::Failure,
};

#[derive(Deserialize)]
pub(super) struct Which {
    device: Option<String>,
    state: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    limit: Option<u64>,
}

/// A page, and where the next one begins, if this one is full.
pub(super) async fn list(
    State(engine): State<Engine>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let after = which
        .after
        .map(|place| place.parse::<CommandPlace>())
        .transpose()
        .map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let filter = CommandFilter {
        enrollment_id: which.device.as_deref(),
        state: which.state.as_deref().map(state).transpose()?,
        after: after.as_ref(),
    };
    let limit = which.limit.unwrap_or(PAGE).min(MAX_PAGE);
    let commands = engine.all_commands(filter, limit).await?;
    let last = (commands.len() as u64 == limit).then(|| commands.last());
    let next = last
        .flatten()
        .map(|last| CommandPlace::of(last).to_string());
    let shown: Vec<Value> = commands.iter().map(command_json).collect();
    Ok(Json(json!({ "commands": shown, "next": next })))
}

fn state(word: &str) -> Result<CommandState, Failure> {
    let mut all = CommandState::ALL.iter();
    all.find(|state| state.as_str() == word)
        .copied()
        .ok_or_else(|| {
            let all: Vec<_> = CommandState::ALL
                .iter()
                .map(|state| state.as_str())
                .collect();
            let all = all.join(", ");
            Failure::unknown(&format!("no command is ever {word:?}; write one of {all}"))
        })
}
