//! What devices send while they enroll: the signed messages of phases 2 and 3.

use axum::{Extension, body::Bytes, extract::State, response::Response};
use lanyard_mdm::profile;

use super::{Remote, Shared, binary, refused};

pub(super) async fn message(
    State(shared): State<Shared>,
    Extension(Remote(remote)): Extension<Remote>,
    body: Bytes,
) -> Response {
    match shared.engine.enrollment_message(&body, remote).await {
        Ok(document) => binary(profile::CONTENT_TYPE, document),
        Err(refusal) => refused("enrollment", &refusal),
    }
}
