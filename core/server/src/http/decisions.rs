//! Decision records, over the administration's API.

use std::time::{Duration, UNIX_EPOCH};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::get,
};
use lanyard_engine::Engine;
use lanyard_policy::HookPoint;
use lanyard_store::{DecisionFilter, DecisionRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{admin::seconds, failure::Failure};
use crate::policy::{Policies, Recorded};

/// Records that a list shows.
const PAGE: u64 = 100;

#[derive(Clone)]
struct Administration {
    engine: Engine,
    policies: Policies,
}

pub(super) fn router(engine: Engine, policies: Policies) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/recorded", get(recorded))
        .route("/{id}", get(show))
        .route("/{id}/recorded", get(export))
        .with_state(Administration { engine, policies })
}

#[derive(Deserialize)]
struct Which {
    hook: Option<HookPoint>,
    about: Option<String>,
    /// Seconds since the epoch.
    since: Option<u64>,
    /// The last of the page before.
    after: Option<String>,
    limit: Option<u64>,
}

impl Which {
    fn filter(&self) -> DecisionFilter<'_> {
        DecisionFilter {
            hook: self.hook.map(HookPoint::as_str),
            subject: self.about.as_deref(),
            since: self
                .since
                .map(|since| UNIX_EPOCH + Duration::from_secs(since)),
            after: self.after.as_deref(),
        }
    }
}

async fn list(
    State(here): State<Administration>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let limit = which.limit.unwrap_or(PAGE);
    let records = here.engine.decisions(which.filter(), limit).await?;
    let shown: Vec<Value> = records.iter().map(decision_json).collect();
    Ok(Json(json!({ "decisions": shown })))
}

async fn show(
    State(here): State<Administration>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let record = find(&here, &id).await?;
    Ok(Json(decision_json(&record)))
}

/// A page of decisions as they were made, without components. Those of bindings on trial are left out.
async fn recorded(
    State(here): State<Administration>,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Failure> {
    let limit = which.limit.unwrap_or(PAGE);
    let records = here.engine.decisions(which.filter(), limit).await?;
    let next = records.last().map(|last| last.id.clone());
    let mut page: Vec<Recorded> = Vec::new();
    for record in records {
        if record.beside.is_none() {
            page.push(here.policies.recorded(record).await.map_err(damaged)?);
        }
    }
    Ok(Json(json!({ "recorded": page, "next": next })))
}

/// A decision with the components that made it.
async fn export(
    State(here): State<Administration>,
    Path(id): Path<String>,
) -> Result<Json<Recorded>, Failure> {
    let record = find(&here, &id).await?;
    let mut recorded = here.policies.recorded(record).await.map_err(damaged)?;
    here.policies
        .add_components(&mut recorded)
        .await
        .map_err(damaged)?;
    Ok(Json(recorded))
}

async fn find(here: &Administration, id: &str) -> Result<DecisionRecord, Failure> {
    let record = here.engine.decision(id).await?;
    record.ok_or_else(|| Failure::unknown(&format!("there is no decision {id}")))
}

fn damaged(error: impl std::error::Error + 'static) -> Failure {
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error)
}

fn decision_json(record: &DecisionRecord) -> Value {
    json!({
        "id": record.id,
        "hook": record.hook,
        "at": seconds(record.at),
        "about": record.subject,
        "certificate_serial": record.serial,
        "policy": record.policy,
        "beside": record.beside,
        "question": record.question,
        "opinions": record.opinions,
        "outcome": record.outcome,
        "used": record.used,
    })
}
