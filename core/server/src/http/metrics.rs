//! Counting requests, and everything that is counted in Prometheus' text format. Names and meanings: `docs/metrics.md`.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use lanyard_engine::{Engine, ErrorChain};
use lanyard_wasm::Calls;
use prometheus_client::{
    encoding::prometheus_text::encode,
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};
use tracing::{Instrument as _, field::Empty};

use super::paths;

/// Names and values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// What is counted, by everybody. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Counted>);

struct Counted {
    engine: Engine,
    registry: Registry,
    requests: Requests,
}

/// Requests of devices and persons. Labels are words of this program: what a client sends makes no series.
#[derive(Clone)]
struct Requests {
    answered: Family<Labels<2>, Counter>,
    durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
}

impl Metrics {
    /// Everything that this engine, and whoever calls plugins for it, counts.
    pub fn new(engine: Engine, calls: &Calls) -> Self {
        let mut registry = Registry::with_prefix("lanyard");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The server's version", build);
        engine.register_metrics(&mut registry);
        calls.register(&mut registry);
        let requests = Requests::new();
        requests.register(&mut registry);
        Self(Arc::new(Counted {
            engine,
            registry,
            requests,
        }))
    }

    /// `/metrics`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/metrics", get(exposition))
            .with_state(self)
    }
}

async fn exposition(State(Metrics(counted)): State<Metrics>) -> Response {
    if let Err(error) = counted.engine.measure_backlog().await {
        tracing::warn!(error = %ErrorChain(&error), "the backlog cannot be counted");
    }
    let mut text = String::new();
    if encode(&mut text, &counted.registry).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Counts a request, and spans a trace over everything that is done for it.
pub(super) async fn observed(
    State(Metrics(counted)): State<Metrics>,
    request: Request,
    next: Next,
) -> Response {
    let route = paths::named(
        request
            .extensions()
            .get::<MatchedPath>()
            .map(MatchedPath::as_str),
    );
    let method = request.method().as_str();
    let span = tracing::debug_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    );
    let started = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    counted.requests.count(route, status, started);
    response
}

impl Requests {
    fn new() -> Self {
        let requests = Self {
            answered: Family::default(),
            durations: Family::new_with_constructor(durations),
        };
        for route in paths::ALL {
            drop(requests.durations.get_or_create(&[("route", route)]));
            let first = [("route", route), ("status", "2xx")];
            drop(requests.answered.get_or_create(&first));
        }
        requests
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests of devices and persons that were answered",
            self.answered.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long a request took, its body's arrival included",
            Unit::Seconds,
            self.durations.clone(),
        );
    }

    fn count(&self, route: &'static str, status: StatusCode, started: Instant) {
        let status = match status.as_u16() {
            ..200 => "1xx",
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        };
        self.answered
            .get_or_create(&[("route", route), ("status", status)])
            .inc();
        self.durations
            .get_or_create(&[("route", route)])
            .observe(started.elapsed().as_secs_f64());
    }
}

/// From an empty connect to the time at which an exchange is cut off.
fn durations() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
    ])
}
