//! Push certificates, over the administration's API.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use lanyard_engine::{Engine, PushTopic};
use serde_json::{Value, json};

use super::{admin::seconds, failure::Failure};
use crate::push::PushFiles;

pub(super) fn router(engine: Engine, files: PushFiles) -> Router {
    let topics = Router::new().route("/", get(topics)).with_state(engine);
    let files = Router::new()
        .route("/reload", post(reload))
        .with_state(files);
    topics.merge(files)
}

async fn topics(State(engine): State<Engine>) -> Json<Value> {
    let topics: Vec<Value> = engine.push_topics().iter().map(topic_json).collect();
    Json(json!({ "topics": topics }))
}

async fn reload(State(files): State<PushFiles>) -> Result<Json<Value>, Failure> {
    let changed = files.reload().await;
    let changed =
        changed.map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    Ok(Json(json!({ "changed": changed })))
}

fn topic_json(topic: &PushTopic) -> Value {
    let trouble = topic.trouble.as_ref().map(|trouble| {
        json!({
            "since": seconds(trouble.since),
            "what": trouble.what,
            "tried_again_at": seconds(trouble.until),
        })
    });
    json!({
        "topic": topic.topic,
        "enrolls": topic.enrolls,
        "certificate_sha256": topic.certificate_sha256,
        "not_after": seconds(topic.not_after),
        "trouble": trouble,
    })
}
