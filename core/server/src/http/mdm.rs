//! What managed devices send: check-in messages and reports.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use lanyard_engine::CheckInAnswer;
use lanyard_mdm::{connect::COMMAND_CONTENT_TYPE, signature};

use super::{Shared, refused};

pub(super) async fn check_in(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match shared.engine.check_in(&body, signature_of(&headers)).await {
        Ok(CheckInAnswer::Accepted) => StatusCode::OK.into_response(),
        Ok(CheckInAnswer::UserNotManaged) => StatusCode::GONE.into_response(),
        Ok(CheckInAnswer::NotServed) => StatusCode::BAD_REQUEST.into_response(),
        Err(refusal) => refused("check-in", &refusal),
    }
}

/// The end of an exchange is a body of no bytes at all: an empty property list would be a malformed command.
pub(super) async fn connect(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match shared.engine.connect(&body, signature_of(&headers)).await {
        Ok(Some(command)) => (
            [(header::CONTENT_TYPE, COMMAND_CONTENT_TYPE)],
            command.expose().clone(),
        )
            .into_response(),
        Ok(None) => StatusCode::OK.into_response(),
        Err(refusal) => refused("connect", &refusal),
    }
}

fn signature_of(headers: &HeaderMap) -> Option<&[u8]> {
    headers
        .get(signature::HEADER)
        .map(axum::http::HeaderValue::as_bytes)
}
