//! Commands: as they were queued, in a list, and with what was answered.

use lanyard_commands::Facts;
use serde_json::Value;

use super::{ago, steers, table, text};

/// What was queued, and what its sender would want to know of it.
pub(in crate::cli) fn sent(request_type: &str, device: &str, answer: &Value) -> String {
    queued(request_type, device, &text(&answer["uuid"]), answer)
}

/// `under` is what the command is found by.
pub(in crate::cli) fn queued(request_type: &str, to: &str, under: &str, answer: &Value) -> String {
    let mut said = format!("{request_type} is queued for {to}: {under}");
    if answer["checked"] == false {
        let alike = Facts::all()
            .iter()
            .map(|facts| facts.request_type)
            .filter(|known| *known != request_type)
            .map(|known| {
                (
                    strsim::damerau_levenshtein(
                        &known.to_lowercase(),
                        &request_type.to_lowercase(),
                    ),
                    known,
                )
            })
            .filter(|(distance, _)| *distance <= 2)
            .min();
        said.push_str("\nIts keys were not checked: it goes to the device as it is.");
        if let Some((_, known)) = alike {
            said.push_str(&format!(" Did you mean {known}?"));
        }
    }
    if answer["wakes"] == false {
        said.push_str(
            "\nNobody is woken for it: [push] in lanyard.toml names no push certificate.",
        );
    }
    said
}

pub(in crate::cli) fn command_list(commands: &[Value]) -> String {
    let heads = ["COMMAND", "TYPE", "DEVICE", "STATE", "QUEUED", "ERROR"];
    table(&heads, commands, |command| {
        vec![
            text(&command["uuid"]),
            text(&command["request_type"]),
            text(&command["device"]),
            text(&command["state"]),
            ago(&command["created_at"]),
            text(&command["error"]),
        ]
    })
}

pub(in crate::cli) fn commands(answer: &Value) -> String {
    let commands = answer["commands"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let each: Vec<String> = commands
        .iter()
        .map(|command| {
            let mut lines = vec![
                format!(
                    "{} {} for {}",
                    text(&command["uuid"]),
                    text(&command["request_type"]),
                    text(&command["device"])
                ),
                format!("  state      {}", text(&command["state"])),
                format!(
                    "  queued     {} by {}",
                    ago(&command["created_at"]),
                    text(&command["origin"])
                ),
                format!("  sent       {}", ago(&command["sent_at"])),
                format!(
                    "  {:10} {}",
                    command["state"]
                        .as_str()
                        .filter(|state| ["cancelled", "cleared"].contains(state))
                        .unwrap_or("answered"),
                    ago(&command["completed_at"])
                ),
            ];
            if command["decision"].is_string() {
                lines.push(format!("  decision   {}", text(&command["decision"])));
            }
            if command["error"].is_string() {
                lines.push(format!("  error      {}", text(&command["error"])));
            }
            if let Some(result) = command["result"].as_str() {
                let shown = result
                    .chars()
                    .filter(|each| !steers(*each) || "\n\t".contains(*each));
                // Indented, so that nothing in it passes for a line of ours.
                let shown: String = shown.collect();
                lines.push(String::new());
                lines.extend(shown.lines().map(|line| format!("    {line}")));
            }
            lines.join("\n")
        })
        .collect();
    each.join("\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_devices_say_cannot_command_a_terminal() {
        let answer = json!({ "commands": [{
            "uuid": "1",
            "error": "\u{1b}[2J",
            "result": "<string>\u{1b}]0;title\u{7}\tname\n</string>",
        }] });
        let shown = commands(&answer);
        assert!(
            !shown.contains('\u{1b}') && !shown.contains('\u{7}'),
            "{shown:?}"
        );
        assert!(shown.contains("]0;title\tname"), "{shown:?}");
    }
}
