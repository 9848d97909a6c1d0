//! `/metrics`, and the log as JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use lanyard_tests::{process::wait_until, site::Site};
use serde_json::Value;

use super::{enroll, running};

/// Type and labels of each metric, by name.
type Listed = BTreeMap<String, (String, BTreeSet<String>)>;

fn metrics(site: &Site) -> String {
    let (status, text) = site.ask("GET", "/metrics").unwrap();
    assert_eq!(status, 200, "{text}");
    text
}

/// The sum of a metric's series with this in their labels.
fn value(text: &str, name: &str, label: &str) -> f64 {
    let series = text.lines().filter(|line| {
        let is_named = line
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']));
        is_named && line.contains(label)
    });
    series
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// What the server says.
fn exposed(text: &str) -> Listed {
    let mut listed = Listed::new();
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            listed.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
        let Some((series, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let parts = ["_bucket", "_sum", "_count"];
        let histogram = parts.iter().find_map(|part| series.strip_suffix(part));
        let name = histogram.unwrap_or(series);
        let (labels, _) = labels.split_once('}').unwrap();
        let (_, known) = listed.get_mut(name).unwrap_or_else(|| panic!("{line}"));
        let names = labels
            .split("\",")
            .map(|label| label.split_once('=').unwrap().0);
        known.extend(names.filter(|name| *name != "le").map(str::to_owned));
    }
    listed
}

/// What the page says.
fn documented() -> Listed {
    let page = include_str!("../../../../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `lanyard_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").filter(|label| *label != "\u{2013}");
        let labels = labels.map(|label| label.trim_matches('`').to_owned());
        let name = cells[1].trim_matches('`').to_owned();
        (name, (cells[2].to_owned(), labels.collect()))
    })
    .collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let site = running(&[]);
    let exposed = exposed(&metrics(&site));
    assert!(exposed.len() > 15, "{exposed:?}");
    assert_eq!(exposed, documented());
}

#[test]
fn what_happens_is_counted_and_nobody_is_named() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let listen = address.to_string();
    let site = running(&[
        ("LANYARD_OBSERVABILITY_METRICS_LISTEN", &listen),
        ("LANYARD_OBSERVABILITY_LOG", "json"),
    ]);
    let before = metrics(&site);
    let (_device, udid) = enroll(&site);
    let uuid = site.send(&udid, "DeviceInformation", &[]).unwrap();
    assert_eq!(site.completed(&uuid).unwrap()["state"], "acknowledged");
    wait_until("the push to be counted", || {
        (value(&metrics(&site), "lanyard_pushes_total", "accepted") >= 1.0).then_some(())
    })
    .unwrap();
    let after = metrics(&site);
    for (name, label) in [
        (
            "lanyard_http_requests_total",
            "route=\"/mdm/connect\",status=\"2xx\"",
        ),
        (
            "lanyard_http_request_duration_seconds_count",
            "route=\"/scep/device\"",
        ),
        ("lanyard_check_ins_total", "Authenticate"),
        ("lanyard_check_ins_total", "TokenUpdate"),
        ("lanyard_connects_total", "idle"),
        ("lanyard_connects_total", "answered"),
        ("lanyard_commands_queued_total", "operator"),
        ("lanyard_commands_sent_total", ""),
        ("lanyard_commands_answered_total", "acknowledged"),
        ("lanyard_certificates_issued_total", "ota-interim"),
        ("lanyard_certificates_issued_total", "identity"),
        ("lanyard_sign_ins_total", "authenticated"),
    ] {
        assert_eq!(value(&before, name, label), 0.0, "{name} {label}");
        assert!(
            value(&after, name, label) >= 1.0,
            "{name} {label}:\n{after}"
        );
    }
    let tester = lanyard_tests::site::USER;
    assert!(!after.contains(&udid) && !after.contains(tester), "{after}");

    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains("lanyard_connects_total{said=\"idle\"}"),
        "{answer}"
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /api/v1/devices HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    answer.clear();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 404"),
        "nothing else is served there: {answer}"
    );

    let log = site.server_log();
    let answered = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["message"] == "command answered")
        .unwrap_or_else(|| panic!("{log}"));
    assert_eq!(
        (&answered["enrollment"], &answered["command"]),
        (&udid.into(), &uuid.into())
    );
    assert!(answered["timestamp"].is_string() && answered["level"] == "INFO");
}

/// What it names must be for this machine alone, and is checked before anything listens.
#[test]
fn what_cannot_be_meant_is_refused_at_the_start() {
    for (key, value, right) in [
        ("METRICS_LISTEN", "0.0.0.0:9464", "127.0.0.1:9464"),
        (
            "OTLP",
            "https://collector.example.com",
            "http://127.0.0.1:4318",
        ),
        ("TRACE_RATIO", "1.5", "0 to 1"),
    ] {
        let mut site = Site::temporary(&[]).unwrap();
        site.set(&format!("LANYARD_OBSERVABILITY_{key}"), value);
        site.start_apns().unwrap();
        let error = site.start_server().unwrap_err();
        let name = format!("observability.{}", key.to_lowercase());
        assert!(error.contains(&name) && error.contains(right), "{error}");
        assert!(fs::metadata(site.data().join("admin.sock")).is_err());
    }
}
