//! The provider side: HTTP/2 with a client certificate.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use lanyard_pki::Certificate;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use super::authority;
use super::check::{Push, Refusal, check};
use super::service::Service;

/// About what Apple allows.
const STREAMS: u32 = 1000;

/// More than a payload may have, so that one that is too long is seen to be.
const LONGEST_BODY: usize = 5000;

/// How a connection ends before the provider closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It finishes what it has.
    GoAway,
    /// It does not.
    Broken,
}

/// Serves one connection until its end, or until a change of `endings` says how it is to end.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    service: Arc<Service>,
    mut endings: watch::Receiver<Ending>,
) {
    let topic: Option<Arc<str>> = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|certificates| certificates.first())
        .and_then(|certificate| Certificate::from_der(certificate).ok())
        .and_then(|certificate| authority::topic(&certificate))
        .map(Arc::from);
    let answer = service_fn(move |request| {
        let (service, topic) = (Arc::clone(&service), topic.clone());
        async move { Ok::<_, Infallible>(answer(request, &service, topic.as_deref()).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        Ok(()) = endings.changed() => {
            if *endings.borrow_and_update() == Ending::Broken {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a provider's connection broke");
    }
}

async fn answer(
    request: Request<Incoming>,
    service: &Service,
    topic: Option<&str>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let checked = match (topic, Limited::new(body, LONGEST_BODY).collect().await) {
        (None, _) => Err(Refusal::new(403, "BadCertificate")),
        (Some(_), Err(_)) => Err(Refusal::new(413, "PayloadTooLarge")),
        (Some(topic), Ok(body)) => check(
            &head.method,
            head.uri.path(),
            &head.headers,
            &body.to_bytes(),
            topic,
        ),
    };
    let id = match &checked {
        Ok(Push {
            apns_id: Some(id), ..
        }) => id.clone(),
        _ => uuid::Uuid::new_v4().to_string(),
    };
    match service.push(checked, head.uri.path(), topic.unwrap_or_default(), &id) {
        Ok(()) => respond(StatusCode::OK, &id, Bytes::new()),
        Err(refusal) => {
            let mut body = serde_json::json!({ "reason": refusal.reason });
            if let Some(timestamp) = refusal.timestamp {
                body["timestamp"] = timestamp.into();
            }
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            respond(status, &id, Bytes::from(body.to_string()))
        }
    }
}

fn respond(status: StatusCode, id: &str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    // An identifier is a UUID, and that is a valid header value.
    if let Ok(id) = id.parse() {
        response.headers_mut().insert("apns-id", id);
    }
    response
}
