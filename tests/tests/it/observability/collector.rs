//! A stand-in for an OpenTelemetry collector, which keeps the spans that it gets.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value,
    trace::v1::{Span as Received, span::SpanKind},
};
use prost::Message as _;

/// A span, as far as the tests look at it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) trace: Vec<u8>,
    pub(super) id: Vec<u8>,
    pub(super) parent: Vec<u8>,
    pub(super) kind: SpanKind,
    pub(super) name: String,
    /// Names and values.
    pub(super) attributes: Vec<(String, String)>,
    /// What happened inside of it.
    pub(super) events: usize,
}

pub(super) struct Collector {
    pub(super) address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let kept = Arc::clone(&spans);
        let traces = post(
            async move |body: Bytes| match ExportTraceServiceRequest::decode(body) {
                Ok(request) => {
                    let resources = request.resource_spans.into_iter();
                    let scopes = resources.flat_map(|resource| resource.scope_spans);
                    let received = scopes.flat_map(|scope| scope.spans).map(Span::from);
                    kept.lock().unwrap().extend(received);
                    StatusCode::OK
                }
                Err(_) => StatusCode::BAD_REQUEST,
            },
        );
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/traces", traces);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, spans }
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

impl Span {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

impl From<Received> for Span {
    fn from(span: Received) -> Self {
        let text = |value: Option<any_value::Value>| match value {
            Some(any_value::Value::StringValue(text)) => text,
            Some(any_value::Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        let kind = span.kind();
        let attributes = span.attributes.into_iter().map(|attribute| {
            let value = attribute.value.and_then(|value| value.value);
            (attribute.key, text(value))
        });
        Self {
            trace: span.trace_id,
            id: span.span_id,
            parent: span.parent_span_id,
            kind,
            name: span.name,
            attributes: attributes.collect(),
            events: span.events.len(),
        }
    }
}
