//! Push certificates, for people to read.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{ago, text};

pub(in crate::cli) fn push_topics(topics: &Value) -> String {
    let topics = topics.as_array().map(Vec::as_slice).unwrap_or_default();
    if topics.is_empty() {
        return "No device can be woken: [push] in lanyard.toml names no push certificate."
            .to_owned();
    }
    topics.iter().map(topic).collect::<Vec<_>>().join("\n\n")
}

fn topic(topic: &Value) -> String {
    let enrolls = if topic["enrolls"] == true {
        " (new devices enroll with it)"
    } else {
        ""
    };
    let mut lines = vec![
        format!("{}{enrolls}", text(&topic["topic"])),
        format!(
            "  certificate    sha256 {}",
            text(&topic["certificate_sha256"])
        ),
        format!("  valid          {}", until(&topic["not_after"])),
    ];
    let trouble = &topic["trouble"];
    if trouble.is_object() {
        lines.push(format!("  TROUBLE        {}", text(&trouble["what"])));
        lines.push(format!(
            "  since          {}; tried again by itself",
            ago(&trouble["since"])
        ));
    } else {
        lines.push("  trouble        none".to_owned());
    }
    lines.join("\n")
}

pub(in crate::cli) fn reloaded(answer: &Value) -> String {
    let changed = answer["changed"].as_array();
    let changed: Vec<String> = changed.into_iter().flatten().map(text).collect();
    if changed.is_empty() {
        "The push certificates are those of before.".to_owned()
    } else {
        format!(
            "There is another push certificate for {}.",
            changed.join(", ")
        )
    }
}

/// A device's push tokens: since when they are here, and whether they are dead.
pub(super) fn tokens(device: &Value) -> String {
    match (&device["push_tokens_at"], &device["push_token_dead_at"]) {
        (came, dead) if dead.is_u64() => format!(
            "{}; dead since {}: no push until the device sends others (`lanyard push` tries once more)",
            ago(came),
            ago(dead)
        ),
        (came, _) => ago(came),
    }
}

fn until(seconds: &Value) -> String {
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.as_u64().unwrap_or_default());
    match end.duration_since(SystemTime::now()) {
        Ok(left) => format!("for {} days", left.as_secs() / 86_400),
        Err(_) => "no longer: it has expired".to_owned(),
    }
}
