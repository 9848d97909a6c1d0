//! A backup of the running server, over the administration's API.

use std::time::SystemTime;

use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use super::failure::Failure;
use crate::backup::Backups;

pub(super) fn router(backups: Backups) -> Router {
    Router::new().route("/", get(make)).with_state(backups)
}

#[derive(Deserialize)]
struct What {
    /// Whether the database goes along.
    #[serde(default = "with_database")]
    database: bool,
}

fn with_database() -> bool {
    true
}

/// A tar archive.
async fn make(
    State(backups): State<Backups>,
    Query(what): Query<What>,
) -> Result<Response, Failure> {
    let archive = backups.make(what.database, SystemTime::now()).await?;
    let kind = [(header::CONTENT_TYPE, "application/x-tar")];
    Ok((kind, Body::new(archive)).into_response())
}
