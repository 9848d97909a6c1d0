//! What managed devices send: check-in messages and reports.

use axum::{
    Extension,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use lanyard_engine::{CheckInAnswer, Proof, Refusal};
use lanyard_mdm::{connect::COMMAND_CONTENT_TYPE, signature};

use super::{Shared, refused};
use crate::proxies::Shown;

pub(super) async fn check_in(
    State(shared): State<Shared>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = match proof(&shown, &headers) {
        Ok(proof) => shared.engine.check_in(&body, proof).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(CheckInAnswer::Accepted) => StatusCode::OK.into_response(),
        Ok(CheckInAnswer::UserNotManaged) => StatusCode::GONE.into_response(),
        Ok(CheckInAnswer::NotServed) => StatusCode::BAD_REQUEST.into_response(),
        Err(refusal) => refused("check-in", &refusal),
    }
}

/// The end of an exchange is a body of no bytes at all: an empty property list would be a malformed command.
pub(super) async fn connect(
    State(shared): State<Shared>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answered = match proof(&shown, &headers) {
        Ok(proof) => shared.engine.connect(&body, proof).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(Some(command)) => (
            [(header::CONTENT_TYPE, COMMAND_CONTENT_TYPE)],
            command.expose().clone(),
        )
            .into_response(),
        Ok(None) => StatusCode::OK.into_response(),
        Err(refusal) => refused("connect", &refusal),
    }
}

fn proof<'a>(Shown(shown): &'a Shown, headers: &'a HeaderMap) -> Result<Proof<'a>, Refusal> {
    let certificate = (shown.as_ref()).map_err(|error| Refusal::bad_request(error.to_string()))?;
    Ok(Proof {
        certificate: certificate.as_deref(),
        signature: (headers.get(signature::HEADER)).map(axum::http::HeaderValue::as_bytes),
    })
}
