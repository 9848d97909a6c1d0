//! What operators see of a running server: its log, and traces for a collector. Counters are in `http/metrics.rs`.
//!
//! Traces are off unless `observability.otlp` names a collector. They hold spans alone: what the log says stays in the log. A trace begins
//! with a request, or with work that was taken from an outbox; a `traceparent` that a client sends is not believed.

use std::{io::IsTerminal as _, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId, TracerProvider as _},
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample},
};
use tokio::{runtime::Handle, time::timeout};
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::configuration::{LogFormat, Observability};

/// How long the collector may take to accept spans; those that it does not are lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of its answer, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;
/// What is logged when `LANYARD_LOG` says nothing else.
const LOGGED: &str = "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn";
/// Whose spans go into traces.
const TRACED: [&str; 2] = ["lanyard_", "sea_orm"];

/// What has to be ended when the server stops.
pub(crate) struct Observed(Option<SdkTracerProvider>);

/// Begins to log, and to trace where that is configured. Once in a process.
///
/// # Errors
/// The exporter of traces does not take its configuration.
pub(crate) fn start(observability: &Observability) -> Result<Observed, ExporterBuildError> {
    let traces = observability
        .otlp
        .as_deref()
        .map(|collector| provider(collector, observability.trace_ratio))
        .transpose()?;
    let spans = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("lanyard"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_traced))
    });
    tracing_subscriber::registry()
        .with(log(observability.log))
        .with(spans)
        .init();
    Ok(Observed(traces))
}

/// Begins to log as text, and nothing else.
pub(crate) fn log_to_stderr() {
    tracing_subscriber::registry()
        .with(log(LogFormat::Text))
        .init();
}

impl Observed {
    /// Sends what the collector has not got yet.
    pub(crate) async fn end(self) {
        let Some(provider) = self.0 else {
            return;
        };
        // It waits for a thread that waits for this runtime.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

fn log<S>(format: LogFormat) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let filter = EnvFilter::try_from_env("LANYARD_LOG").unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
    .with_filter(filter)
}

fn is_traced(metadata: &Metadata<'_>) -> bool {
    let ours = |prefix: &&str| metadata.target().starts_with(*prefix);
    metadata.is_span() && *metadata.level() <= tracing::Level::DEBUG && TRACED.iter().any(ours)
}

fn provider(collector: &str, ratio: f64) -> Result<SdkTracerProvider, ExporterBuildError> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector {
            runtime: Handle::current(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
        .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()?;
    let resource = Resource::builder()
        .with_service_name("lanyard")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let roots = Roots(Sampler::TraceIdRatioBased(ratio));
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(roots)))
        .with_batch_exporter(exporter)
        .build())
}

/// Which traces there are: looking whether anything is due, once a second, makes none.
#[derive(Clone, Debug)]
struct Roots(Sampler);

impl ShouldSample for Roots {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let begins = matches!(kind, SpanKind::Server | SpanKind::Consumer);
        let mut sampled = self
            .0
            .should_sample(parent, trace, name, kind, attributes, links);
        if !begins {
            sampled.decision = SamplingDecision::Drop;
        }
        sampled
    }
}

/// The way to the collector: plain HTTP, for it stands beside the server. Spans are sent by a thread of their own, which no runtime runs on.
#[derive(Debug)]
struct Collector {
    runtime: Handle,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = self.client.request(request.map(Full::new));
        let exchange = async move {
            let (head, body) = answered.await?.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await?;
            Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
        };
        // Clocks, too, are asked for on the runtime's threads.
        let exchange = self
            .runtime
            .spawn(async { timeout(PATIENCE, exchange).await });
        exchange.await??
    }
}
