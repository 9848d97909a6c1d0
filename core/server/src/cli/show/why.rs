//! Why a device is where it is, for people to read.

use serde_json::Value;

use super::{ago, text};

/// The lines of `lanyard device show` that say what is going on, and what is not.
pub(super) fn lines(device: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let answer = &device["last_answer"];
    if answer.is_object() {
        lines.push(format!(
            "  last answer    {}, {} to {} {}",
            ago(&answer["completed_at"]),
            text(&answer["state"]),
            text(&answer["request_type"]),
            text(&answer["uuid"])
        ));
    }
    lines.push(format!(
        "  next push      {}",
        ahead(&device["next_push_at"])
    ));
    let waiting = &device["waiting"];
    lines.push(format!(
        "  waiting        {} to be sent, {} put off",
        text(&waiting["ready"]),
        text(&waiting["not_now"])
    ));
    let obstacles = device["why"].as_array().map(Vec::as_slice);
    match obstacles.unwrap_or_default() {
        [] => lines.push(format!("  why            {}", unhindered(waiting))),
        obstacles => lines.extend(obstacles.iter().map(|obstacle| {
            let since = match &obstacle["since"] {
                Value::Null => String::new(),
                since => format!(" ({})", ago(since)),
            };
            format!(
                "  why            {}: {}{since}",
                text(&obstacle["code"]),
                text(&obstacle["text"])
            )
        })),
    }
    lines
}

fn unhindered(waiting: &Value) -> &'static str {
    if waiting["ready"] == 0 && waiting["not_now"] == 0 {
        "nothing waits for it"
    } else {
        "nothing keeps it: it fetches what waits when it is woken"
    }
}

/// When something is due.
fn ahead(seconds: &Value) -> String {
    let Some(due) = seconds.as_u64() else {
        return "none is due".to_owned();
    };
    let now = super::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    match due.saturating_sub(now) {
        0 => "now".to_owned(),
        left @ 1..=119 => format!("in {left} seconds"),
        left => format!("in {} minutes", left / 60),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn obstacles_stand_one_a_line_and_their_absence_is_said() {
        let obstacle = |text| json!({ "code": "put-off", "text": text, "since": 1 });
        let device = json!({
            "why": [obstacle("one\u{1b}[2J"), obstacle("other")],
            "waiting": { "ready": 0, "not_now": 2 },
        });
        let shown = lines(&device);
        let why: Vec<_> = shown.iter().filter(|line| line.contains("why")).collect();
        assert_eq!(why.len(), 2, "{shown:?}");
        assert!(why[0].contains("put-off: one[2J (") && why[0].contains("days ago"));
        for (ready, said) in [(0, "nothing waits"), (1, "nothing keeps it")] {
            let device = json!({ "why": [], "waiting": { "ready": ready, "not_now": 0 } });
            assert!(lines(&device).concat().contains(said));
        }
    }
}
