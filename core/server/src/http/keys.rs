//! The sealing keys, over the administration's API.

use std::time::SystemTime;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, post},
};
use lanyard_pki::seal::KeyId;
use serde_json::{Value, json};

use super::failure::Failure;
use crate::keys::Keys;

pub(super) fn router(keys: Keys) -> Router {
    Router::new()
        .route("/", get(list).post(add))
        .route("/rotate", post(rotate))
        .route("/{id}", delete(retire))
        .with_state(keys)
}

async fn list(State(keys): State<Keys>) -> Result<Json<Value>, Failure> {
    Ok(Json(json!({ "keys": keys.list().await? })))
}

async fn add(State(keys): State<Keys>) -> Result<(StatusCode, Json<Value>), Failure> {
    let id = keys.add().await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id.to_string() }))))
}

async fn rotate(State(keys): State<Keys>) -> Result<Json<Value>, Failure> {
    let id = keys.rotate(SystemTime::now()).await?;
    Ok(Json(json!({ "id": id.to_string() })))
}

async fn retire(State(keys): State<Keys>, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    let id = id
        .parse::<KeyId>()
        .map_err(|error| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    keys.retire(id, SystemTime::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
