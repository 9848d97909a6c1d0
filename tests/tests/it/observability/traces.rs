//! Traces: from a request through the use case and a plugin to the database.

use lanyard_tests::process::wait_until;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{
    collector::{Collector, Span},
    enroll, running,
};

const POLICY: &str = "[[binding]]\nhook = \"command-selection\"\nname = \"daily\"\nplugin = \"example-command-selection.wasm\"\n\
    [binding.commands]\nallow = [\"DeviceInformation\"]\n";

/// The spans below this one.
fn below<'a>(spans: &'a [Span], span: &'a Span) -> impl Iterator<Item = &'a Span> {
    let inside = move |each: &&Span| each.trace == span.trace && each.parent == span.id;
    spans.iter().filter(inside)
}

/// A connect that asked the plugin: request, use case, call, and what the store did for the use case.
fn chain(spans: &[Span]) -> Option<[Span; 5]> {
    let call = spans.iter().find(|span| span.name == "call plugin")?;
    let above = |span: &Span| {
        spans
            .iter()
            .find(|each| each.trace == span.trace && each.id == span.parent)
    };
    let connect = above(call)?;
    let request = above(connect)?;
    let mut of_store = below(spans, connect).filter(|span| span.name.starts_with("store: "));
    let (store, statement) = of_store.find_map(|store| {
        let mut statements = below(spans, store);
        let statement = statements.find(|span| span.name.starts_with("sea_orm."))?;
        Some((store, statement))
    })?;
    Some([request, connect, call, store, statement].map(Span::clone))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connect_is_traced_from_the_request_to_plugin_and_database() {
    let collector = Collector::start().await;
    let otlp = format!("http://{}", collector.address);
    let site = running(&[
        ("LANYARD_OBSERVABILITY_OTLP", &otlp),
        // How often the exporter sends, in milliseconds.
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]);
    site.apply(POLICY, &["example-command-selection"]).unwrap();
    let (_device, udid) = enroll(&site);
    let [request, connect, call, store, statement] =
        wait_until("the spans of a connect", || chain(&collector.spans())).unwrap();

    assert_eq!(request.name, "PUT /mdm/connect");
    assert!(request.parent.is_empty(), "{request:?}");
    assert_eq!(request.attribute("http.route"), Some("/mdm/connect"));
    assert_eq!(request.attribute("http.response.status_code"), Some("200"));
    assert_eq!(connect.name, "connect");
    assert_eq!(call.attribute("hook"), Some("command-selection"));
    assert_eq!(call.attribute("binding"), Some("daily"));
    let fuel: u64 = call.attribute("fuel").unwrap().parse().unwrap();
    assert!(fuel > 0);
    let one_trace = [&connect, &call, &store, &statement];
    assert!(one_trace.iter().all(|span| span.trace == request.trace));

    let spans = collector.spans();
    for span in &spans {
        assert_eq!(span.events, 0, "{span:?}");
        let mut values = span.attributes.iter().map(|(_, value)| value);
        assert!(values.all(|value| !value.contains(&udid)), "{span:?}");
    }
    // Looking every second whether anything is due begins no trace.
    let roots = spans.iter().filter(|span| span.parent.is_empty());
    let begins = [SpanKind::Server, SpanKind::Consumer];
    for root in roots {
        assert!(begins.contains(&root.kind), "{root:?}");
    }
}

#[test]
fn a_collector_that_is_away_keeps_nobody_waiting() {
    let site = running(&[("LANYARD_OBSERVABILITY_OTLP", "http://127.0.0.1:9")]);
    let (_device, udid) = enroll(&site);
    let uuid = site.send(&udid, "DeviceInformation", &[]).unwrap();
    assert_eq!(site.completed(&uuid).unwrap()["state"], "acknowledged");
}
