//! Policies, over the administration's API.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lanyard_engine::Engine;
use lanyard_store::{PolicyRevision, StoredPlugin};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::failure::Failure;
use crate::policy::{Applied, Document, Policies, PolicyRefused};

/// A policy with its components.
const BODY_LIMIT: usize = 64 << 20;
/// Revisions that a list shows.
const PAGE: u64 = 100;

#[derive(Clone)]
struct Administration {
    engine: Engine,
    policies: Policies,
}

/// What is sent to be applied.
#[derive(Serialize, Deserialize)]
pub(crate) struct Application {
    /// The policy.
    pub(crate) document: Document,
    /// The files that it names, base64.
    pub(crate) components: HashMap<String, String>,
    /// The signatures that stand beside them, by the same names.
    #[serde(default)]
    pub(crate) signatures: HashMap<String, String>,
}

pub(super) fn router(engine: Engine, policies: Policies) -> Router {
    Router::new()
        .route("/", get(list).post(apply))
        .route("/current", get(current))
        .route("/{number}", get(show))
        .route("/{number}/rollback", post(roll_back))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Administration { engine, policies })
}

async fn apply(
    State(here): State<Administration>,
    Json(mut sent): Json<Application>,
) -> Result<Json<Value>, Failure> {
    let mut components = HashMap::new();
    for (file, encoded) in sent.components {
        let component = STANDARD
            .decode(encoded)
            .map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
        let signature = sent.signatures.remove(&file);
        let plugin = StoredPlugin {
            component,
            signature,
        };
        components.insert(file, plugin);
    }
    let applied = here
        .policies
        .apply(&here.engine, sent.document, &components, SystemTime::now())
        .await?;
    Ok(Json(applied_json(&applied)))
}

async fn roll_back(
    State(here): State<Administration>,
    Path(number): Path<i64>,
) -> Result<Json<Value>, Failure> {
    let applied = here
        .policies
        .roll_back(&here.engine, number, SystemTime::now())
        .await?;
    Ok(Json(applied_json(&applied)))
}

async fn list(State(here): State<Administration>) -> Result<Json<Value>, Failure> {
    let revisions = here.policies.list(PAGE).await?;
    let shown: Vec<Value> = revisions.iter().map(revision_json).collect();
    Ok(Json(json!({ "revisions": shown })))
}

/// The revision in force; `null` if none was ever applied.
async fn current(State(here): State<Administration>) -> Result<Json<Value>, Failure> {
    let revision = here.policies.show(None).await?;
    Ok(Json(revision.as_ref().map_or(Value::Null, revision_json)))
}

async fn show(
    State(here): State<Administration>,
    Path(number): Path<i64>,
) -> Result<Json<Value>, Failure> {
    let revision = here.policies.show(Some(number)).await?;
    let revision = revision.ok_or(PolicyRefused::Unknown(number))?;
    Ok(Json(revision_json(&revision)))
}

fn applied_json(applied: &Applied) -> Value {
    json!({ "number": applied.number, "differences": applied.differences })
}

fn revision_json(revision: &PolicyRevision) -> Value {
    let applied = revision.applied_at.duration_since(UNIX_EPOCH);
    json!({
        "number": revision.number,
        "applied_at": applied.map_or(0, |since| since.as_secs()),
        "document": revision.document,
    })
}
