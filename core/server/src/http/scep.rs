//! SCEP over HTTP (RFC 8894, 4). Clients are particular: content types letter by letter, 200 for every CertRep, no
//! demands on their headers.

use std::net::IpAddr;

use axum::{
    Extension,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use lanyard_engine::PkiAnswer;
use lanyard_scep::{Operation, QueryError, operation, pki_message, posted_operation};

use super::{Remote, Shared, binary, refused};

pub(super) async fn get(
    State(shared): State<Shared>,
    Extension(Remote(remote)): Extension<Remote>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match operation(&query) {
        Ok(Operation::GetCaCaps) => (
            [(header::CONTENT_TYPE, "text/plain")],
            shared.engine.scep_capabilities(),
        )
            .into_response(),
        Ok(Operation::GetCaCert) => {
            let authorities = shared.engine.scep_authorities();
            (
                [(header::CONTENT_TYPE, authorities.content_type)],
                authorities.body,
            )
                .into_response()
        }
        Ok(Operation::PkiOperation) => match pki_message(&query) {
            Ok(message) => pki_operation(&shared, &message, remote).await,
            Err(error) => not_understood(&error),
        },
        Err(error) => not_understood(&error),
    }
}

pub(super) async fn post(
    State(shared): State<Shared>,
    Extension(Remote(remote)): Extension<Remote>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    match posted_operation(&query.unwrap_or_default()) {
        Ok(_) => pki_operation(&shared, &body, remote).await,
        Err(error) => not_understood(&error),
    }
}

async fn pki_operation(shared: &Shared, message: &[u8], remote: IpAddr) -> Response {
    match shared.engine.pki_operation(message, remote).await {
        Ok(PkiAnswer::CertRep(answer)) => binary("application/x-pki-message", answer),
        Ok(PkiAnswer::NotAMessage) => {
            (StatusCode::BAD_REQUEST, "not a pkiMessage\n").into_response()
        }
        Err(refusal) => refused("scep", &refusal),
    }
}

fn not_understood(error: &QueryError) -> Response {
    tracing::info!(reason = %error, "SCEP: not understood");
    (StatusCode::BAD_REQUEST, "the request was not accepted\n").into_response()
}
