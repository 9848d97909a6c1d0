//! Answers of the server, for people to read.

mod commands;
mod decisions;
mod keys;
mod push;
mod why;

use std::time::{Duration, SystemTime};

use serde_json::Value;

pub(super) use commands::{command_list, commands, queued, sent};
pub(super) use decisions::{decision, decisions};
pub(super) use keys::keys;
pub(super) use push::{push_topics, reloaded};

pub(super) fn users(users: &[Value]) -> String {
    table(&["NAME", "SHOWN AS", "STATE"], users, |user| {
        let state = if user["disabled"] == true {
            "disabled"
        } else {
            "active"
        };
        vec![
            text(&user["name"]),
            text(&user["display_name"]),
            state.to_owned(),
        ]
    })
}

pub(super) fn devices(devices: &[Value]) -> String {
    table(
        &[
            "UDID",
            "STATE",
            "PERSON",
            "PRODUCT",
            "OS",
            "LAST SEEN",
            "IDENTITY",
        ],
        devices,
        |device| {
            vec![
                text(&device["id"]),
                text(&device["state"]),
                text(&device["person"]["id"]),
                text(&device["product"]),
                text(&device["os_version"]),
                ago(&device["last_seen_at"]),
                until(&device["certificate_ends_at"]),
            ]
        },
    )
}

pub(super) fn device(device: &Value) -> String {
    let person = &device["person"];
    let mut lines = vec![
        format!("{} ({})", text(&device["id"]), text(&device["state"])),
        format!(
            "  person         {} ({} of {})",
            text(&person["name"]),
            text(&person["id"]),
            text(&person["directory"])
        ),
        format!(
            "  device         {} {}, serial {}",
            text(&device["model_name"]),
            text(&device["product"]),
            text(&device["serial"])
        ),
        format!(
            "  system         {} ({})",
            text(&device["os_version"]),
            text(&device["build_version"])
        ),
        format!(
            "  certificate    sha256 {}",
            text(&device["certificate_sha256"])
        ),
        format!("  identity       {}", until(&device["certificate_ends_at"])),
        format!("  attested       {}", text(&device["attested"])),
        format!("  topic          {}", text(&device["topic"])),
        format!("  enrolled       {}", ago(&device["enrolled_at"])),
        format!("  last seen      {}", ago(&device["last_seen_at"])),
        format!(
            "  last push      {} ({})",
            ago(&device["last_push_at"]),
            text(&device["last_push_result"])
        ),
        format!("  push tokens    {}", push::tokens(device)),
        format!(
            "  unlock token   {}",
            if device["has_unlock_token"] == true {
                "stored"
            } else {
                "none"
            }
        ),
    ];
    lines.extend(why::lines(device));
    if let Some(commands) = device["commands"]
        .as_array()
        .filter(|commands| !commands.is_empty())
    {
        lines.push(String::new());
        lines.push(table(
            &["COMMAND", "TYPE", "STATE", "QUEUED", "ERROR"],
            commands,
            |command| {
                vec![
                    text(&command["uuid"]),
                    text(&command["request_type"]),
                    text(&command["state"]),
                    ago(&command["created_at"]),
                    text(&command["error"]),
                ]
            },
        ));
    }
    lines.join("\n")
}

pub(super) fn revisions(revisions: &Value) -> String {
    let revisions = revisions.as_array().map(Vec::as_slice).unwrap_or_default();
    table(
        &["REVISION", "APPLIED", "BINDINGS"],
        revisions,
        |revision| {
            let bindings = revision["document"]["binding"].as_array();
            let names: Vec<String> = bindings
                .into_iter()
                .flatten()
                .map(|binding| format!("{} {}", text(&binding["hook"]), text(&binding["name"])))
                .collect();
            vec![
                text(&revision["number"]),
                ago(&revision["applied_at"]),
                names.join(", "),
            ]
        },
    )
}

pub(super) fn approvals(approvals: &Value) -> String {
    let approvals = approvals.as_array().map(Vec::as_slice).unwrap_or_default();
    let heads = [
        "APPROVAL", "STATE", "HOOK", "PERSON", "DEVICE", "ASKED", "WHY",
    ];
    table(&heads, approvals, |approval| {
        vec![
            text(&approval["id"]),
            text(&approval["state"]),
            text(&approval["hook"]),
            text(&approval["person"]["id"]),
            text(&approval["device"]),
            ago(&approval["created_at"]),
            text(&approval["code"]),
        ]
    })
}

pub(super) fn approval(approval: &Value) -> String {
    let person = &approval["person"];
    let mut lines = vec![
        format!("{} {}", text(&approval["id"]), text(&approval["state"])),
        format!(
            "  asked by     {} `{}`, {}",
            text(&approval["hook"]),
            text(&approval["binding"]),
            ago(&approval["created_at"])
        ),
        format!(
            "  why          {}: {}",
            text(&approval["code"]),
            text(&approval["message"])
        ),
        format!(
            "  person       {} of {}",
            text(&person["id"]),
            text(&person["directory"])
        ),
        format!("  device       {}", text(&approval["device"])),
    ];
    if approval["transaction"].is_string() {
        lines.push(format!(
            "  transaction  {} at {}",
            text(&approval["transaction"]),
            text(&approval["endpoint"])
        ));
    }
    lines.push(format!("  decision     {}", text(&approval["decision"])));
    let mut facts = Vec::new();
    name_facts("", &approval["facts"], &mut facts);
    lines.extend(facts.iter().map(|fact| format!("  looked at    {fact}")));
    if approval["decided_by"].is_string() {
        lines.push(format!(
            "  answered     {} by {}: {}",
            ago(&approval["decided_at"]),
            text(&approval["decided_by"]),
            text(&approval["note"])
        ));
        lines.push(format!("  used         {}", ago(&approval["used_at"])));
    }
    lines.join("\n")
}

/// Each fact that there is, after the names that lead to it.
fn name_facts(name: &str, fact: &Value, named: &mut Vec<String>) {
    match fact {
        Value::Object(inner) => {
            for (further, fact) in inner {
                let further = text(&further.as_str().into());
                let dot = if name.is_empty() { "" } else { "." };
                name_facts(&format!("{name}{dot}{further}"), fact, named);
            }
        }
        Value::Array(several) => {
            let several: Vec<String> = several.iter().map(text).collect();
            named.push(format!("{name} {}", several.join(", ")));
        }
        Value::Null => {}
        one => named.push(format!("{name} {}", text(one))),
    }
}

/// Whether a character moves a terminal's cursor, or makes what follows read in another order than it stands.
pub(super) fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What devices say about themselves goes to a terminal: what would steer it does not.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .chars()
            .filter(|character| !steers(*character))
            .collect(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn ago(seconds: &Value) -> String {
    let Some(seconds) = seconds.as_u64() else {
        return "never".to_owned();
    };
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    match SystemTime::now()
        .duration_since(then)
        .unwrap_or_default()
        .as_secs()
    {
        0..=119 => "just now".to_owned(),
        passed @ 120..=7_199 => format!("{} minutes ago", passed / 60),
        passed @ 7_200..=172_799 => format!("{} hours ago", passed / 3_600),
        passed => format!("{} days ago", passed / 86_400),
    }
}

/// How long something still lasts.
fn until(seconds: &Value) -> String {
    let Some(seconds) = seconds.as_u64() else {
        return "none".to_owned();
    };
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let Ok(left) = end.duration_since(SystemTime::now()) else {
        return format!("expired {}", ago(&seconds.into()));
    };
    match left.as_secs() {
        left @ 0..=172_799 => format!("ends in {} hours", left / 3_600),
        left => format!("ends in {} days", left / 86_400),
    }
}

fn table(heads: &[&str], rows: &[Value], cells: impl Fn(&Value) -> Vec<String>) -> String {
    const WIDEST: usize = 72;
    let mut lines: Vec<Vec<String>> = vec![heads.iter().map(|&head| head.to_owned()).collect()];
    lines.extend(rows.iter().map(|row| {
        let cells = cells(row).into_iter();
        cells
            .map(|cell| match cell.char_indices().nth(WIDEST) {
                Some((end, _)) => format!("{}…", &cell[..end]),
                None => cell,
            })
            .collect()
    }));
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let written: Vec<String> = lines
        .iter()
        .map(|line| {
            let padded: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect();
    written.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_of_any_length_is_shown() {
        let name = "x".repeat(100_000);
        let shown = devices(&[json!({ "id": name, "state": "\u{202e}dellorne" })]);
        assert!(
            shown.len() < 1_000 && !shown.contains('\u{202e}'),
            "{shown}"
        );
    }
}
