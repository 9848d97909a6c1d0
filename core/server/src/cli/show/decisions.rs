//! Decisions: whom they are about, what came of them, and by which binding.

use lanyard_policy::{Event, IssuedCommand, Occurrence, PersonRef};
use serde_json::Value;

use super::{ago, table, text};

/// Shorter lists of numbers are shown as they are: a seed has 32 octets.
const OCTETS_AT_LEAST: usize = 16;

pub(in crate::cli) fn decisions(decisions: &Value) -> String {
    let decisions = decisions.as_array().map(Vec::as_slice).unwrap_or_default();
    let heads = ["DECISION", "HOOK", "MADE", "OUTCOME", "ABOUT"];
    table(&heads, decisions, |decision| {
        let on_trial = if decision["beside"].is_string() {
            "on trial: "
        } else {
            ""
        };
        vec![
            text(&decision["id"]),
            text(&decision["hook"]),
            ago(&decision["at"]),
            format!("{on_trial}{}", outcome(&decision["outcome"])),
            about(decision),
        ]
    })
}

pub(in crate::cli) fn decision(decision: &Value) -> String {
    let occurrence = occurrence(decision);
    let mut lines = vec![format!(
        "{} {}",
        text(&decision["id"]),
        text(&decision["hook"])
    )];
    let mut line = |what: &str, said: String| lines.push(format!("  {what:<11}  {said}"));
    line("made", ago(&decision["at"]));
    line("about", about(decision));
    if let Some(occurrence) = &occurrence {
        line("happened", clean(&happened(occurrence)));
    }
    if decision["certificate_serial"].is_string() {
        line("certificate", text(&decision["certificate_serial"]));
    }
    line("policy", format!("revision {}", text(&decision["policy"])));
    if decision["beside"].is_string() {
        line("on trial", format!("beside {}", text(&decision["beside"])));
    }
    line("outcome", outcome(&decision["outcome"]));
    for opinion in decision["opinions"].as_array().into_iter().flatten() {
        for command in commands(&opinion["verdict"]) {
            let does = if decision["beside"].is_string() {
                "would issue"
            } else {
                "issues"
            };
            line(does, clean(&issued(&command, &opinion["binding"])));
        }
    }
    for used in decision["used"].as_array().into_iter().flatten() {
        line(
            "asked",
            format!(
                "{}: fuel {}, host calls {}, {} µs",
                text(&used["binding"]),
                used["fuel"],
                used["host_calls"],
                used["micros"]
            ),
        );
    }
    // What came of an event is its commands, which are told above.
    let parts = match occurrence {
        Some(_) => &["question"][..],
        None => &["question", "opinions", "outcome"],
    };
    for part in parts {
        let json = serde_json::to_string_pretty(&with_hex(&decision[part])).unwrap_or_default();
        lines.push(format!("  {part}"));
        // What stands in it came from devices, persons and plugins.
        lines.extend(json.lines().map(|line| format!("    {}", clean(line))));
    }
    lines.join("\n")
}

/// The device or session; of an event without one, what stands in its place.
fn about(decision: &Value) -> String {
    if decision["about"].is_null() {
        match occurrence(decision) {
            Some(Occurrence::CertificateIssued { serial, .. }) => {
                return clean(&format!("certificate {serial}"));
            }
            Some(Occurrence::PersonDisabled { person, .. }) => return clean(&named(&person)),
            Some(Occurrence::Tick { schedule }) => return clean(&format!("schedule {schedule}")),
            _ => {}
        }
    }
    text(&decision["about"])
}

/// What happened, if the decision is about an event.
fn occurrence(decision: &Value) -> Option<Occurrence> {
    let is_event = decision["hook"] == "event";
    let event = is_event.then(|| serde_json::from_value::<Event>(decision["question"].clone()));
    Some(event?.ok()?.occurrence)
}

fn happened(occurrence: &Occurrence) -> String {
    match occurrence {
        Occurrence::Enrolled { person, device, .. } => {
            let product = device.product.as_deref().unwrap_or("a device");
            match person {
                Some(person) => format!("{} enrolled {product}", named(&person.reference())),
                None => format!("{product} was enrolled"),
            }
        }
        Occurrence::CheckedOut { .. } => "the device said that it leaves".to_owned(),
        Occurrence::CommandFinished { result, .. } => {
            let command = result.request_type.as_deref().unwrap_or("a command");
            let status = serde_json::to_value(result.status).unwrap_or_default();
            let error = result.error.as_deref();
            let error = error.map_or_else(String::new, |error| format!(" ({error})"));
            format!(
                "{command} {} ended as {}{error}",
                result.uuid,
                text(&status)
            )
        }
        Occurrence::CertificateIssued {
            purpose,
            person,
            udid,
            ..
        } => {
            let holders = person.as_ref().map(named).into_iter().chain(udid.clone());
            let holders: Vec<String> = holders.collect();
            format!(
                "a certificate ({}) was issued to {}",
                purpose.as_str(),
                holders.join(", ")
            )
        }
        Occurrence::PersonDisabled {
            person,
            enrollments,
        } => format!(
            "{} may no longer act; devices: {}",
            named(person),
            enrollments.join(", ")
        ),
        Occurrence::Tick { .. } => "the schedule was due".to_owned(),
    }
}

fn named(person: &PersonRef) -> String {
    format!("{} of {}", person.id, person.directory)
}

/// A verdict or a failure in a few words.
fn outcome(outcome: &Value) -> String {
    if outcome["failure"].is_object() {
        return format!("failed: {}", text(&outcome["failure"]["code"]));
    }
    match &outcome["verdict"] {
        verdict @ Value::Array(_) => {
            let types = commands(verdict).into_iter();
            let types: Vec<String> = types.map(|command| command.request.request_type).collect();
            match types.as_slice() {
                [] => "nothing".to_owned(),
                types => clean(&format!("issue: {}", types.join(", "))),
            }
        }
        Value::Object(verdict) => match verdict.iter().next() {
            Some((name, terms)) => {
                let what = match name.as_str() {
                    "deliver" => terms,
                    "issue" => &terms["request_type"],
                    "wait" => &terms["seconds"],
                    _ => &terms["code"],
                };
                let unit = if name == "wait" { " s" } else { "" };
                match what {
                    Value::Null => name.clone(),
                    what => format!("{name}: {}{unit}", text(what)),
                }
            }
            None => "–".to_owned(),
        },
        other => text(other),
    }
}

/// The commands that an event binding asks for.
fn commands(verdict: &Value) -> Vec<IssuedCommand> {
    serde_json::from_value(verdict.clone()).unwrap_or_default()
}

fn issued(command: &IssuedCommand, binding: &Value) -> String {
    let IssuedCommand {
        enrollment,
        request,
    } = command;
    format!(
        "{} for {enrollment}, by `{}`: {} ({})",
        request.request_type,
        text(binding),
        request.reason.message,
        request.reason.code
    )
}

/// The same with octets in hex: a seed is one line, and not one a number.
fn with_hex(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let octet = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
            let octets: Option<Vec<u8>> = items.iter().map(octet).collect();
            match octets {
                Some(octets) if octets.len() >= OCTETS_AT_LEAST => hex::encode(octets).into(),
                _ => items.iter().map(with_hex).collect(),
            }
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), with_hex(value)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// Without what would steer a terminal.
fn clean(said: &str) -> String {
    text(&said.into())
}

#[cfg(test)]
mod tests {
    use lanyard_policy::{
        CommandRequest, Decision, DeviceFacts, Meter, Person, Purpose, Reason, ResultStatus,
    };
    use serde_json::json;

    use super::*;

    fn recorded(occurrence: Occurrence) -> Value {
        let event = Event {
            decision: Decision {
                id: "of the event".to_owned(),
                at_ms: 0,
                seed: [0xab; 32],
                meter: Meter::default(),
            },
            occurrence,
        };
        let wanted = vec![IssuedCommand {
            enrollment: "UDID-1".to_owned(),
            request: CommandRequest {
                dedupe_key: "key".to_owned(),
                request_type: "DeviceLock".to_owned(),
                command_plist: "<plist/>".to_owned(),
                reason: Reason::new("left", "The person left."),
            },
        }];
        json!({
            "id": "1",
            "hook": "event",
            "at": 0,
            "about": event.occurrence.enrollment(),
            "policy": 3,
            "question": event,
            "opinions": [{ "binding": "leavers", "verdict": wanted }],
            "outcome": { "verdict": wanted },
            "used": [{ "binding": "leavers", "fuel": 5, "host_calls": 0, "micros": 7 }],
        })
    }

    fn ada() -> PersonRef {
        PersonRef {
            directory: "corp".to_owned(),
            id: "ada".to_owned(),
        }
    }

    #[test]
    fn an_event_says_what_happened_and_what_is_issued_by_whom() {
        let person = Person {
            directory: "corp".to_owned(),
            id: "ada\u{1b}[2J".to_owned(),
            display_name: "Ada".to_owned(),
            attributes: Default::default(),
        };
        let result = lanyard_policy::CommandResult {
            uuid: "2".to_owned(),
            request_type: Some("DeviceInformation".to_owned()),
            status: ResultStatus::CommandFormatError,
            at_ms: 0,
            error: Some("MCMDMErrorDomain 12021".to_owned()),
        };
        for (occurrence, about, happened) in [
            (
                Occurrence::Enrolled {
                    enrollment: "UDID-1".to_owned(),
                    person: Some(person),
                    device: DeviceFacts {
                        product: Some("iPhone15,2".to_owned()),
                        ..DeviceFacts::default()
                    },
                },
                "UDID-1",
                "ada[2J of corp enrolled iPhone15,2",
            ),
            (
                Occurrence::CheckedOut {
                    enrollment: "UDID-1".to_owned(),
                },
                "UDID-1",
                "the device said that it leaves",
            ),
            (
                Occurrence::CommandFinished {
                    enrollment: "UDID-1".to_owned(),
                    result,
                    device: None,
                },
                "UDID-1",
                "DeviceInformation 2 ended as command-format-error (MCMDMErrorDomain 12021)",
            ),
            (
                Occurrence::CertificateIssued {
                    serial: "0f".to_owned(),
                    purpose: Purpose::Identity,
                    person: Some(ada()),
                    udid: Some("UDID-1".to_owned()),
                },
                "certificate 0f",
                "a certificate (identity) was issued to ada of corp, UDID-1",
            ),
            (
                Occurrence::PersonDisabled {
                    person: ada(),
                    enrollments: vec!["UDID-1".to_owned()],
                },
                "ada of corp",
                "ada of corp may no longer act; devices: UDID-1",
            ),
            (
                Occurrence::Tick {
                    schedule: "30 2 * * 1".to_owned(),
                },
                "schedule 30 2 * * 1",
                "the schedule was due",
            ),
        ] {
            let recorded = recorded(occurrence);
            let shown = decision(&recorded);
            for part in [
                &format!("about        {about}\n"),
                &format!("happened     {happened}\n"),
                "outcome      issue: DeviceLock\n",
                "issues       DeviceLock for UDID-1, by `leavers`: The person left. (left)\n",
                "asked        leavers: fuel 5, host calls 0, 7 µs\n",
            ] {
                assert!(shown.contains(part), "{part:?} is not in {shown}");
            }
            assert!(!shown.contains("<plist/>"), "{shown}");
            let listed = decisions(&json!([recorded]));
            let line = listed.lines().nth(1).unwrap();
            assert!(
                line.contains("issue: DeviceLock") && line.ends_with(about),
                "{line}"
            );
        }
    }

    #[test]
    fn a_seed_is_one_line() {
        let shown = decision(&recorded(Occurrence::Tick {
            schedule: "* * * * *".to_owned(),
        }));
        assert!(
            shown.contains(&format!("\"seed\": \"{}\"", "ab".repeat(32))),
            "{shown}"
        );
    }

    #[test]
    fn a_choice_of_a_queue_names_what_was_chosen() {
        for (verdict, said) in [
            (json!("abstain"), "abstain"),
            (json!({ "deliver": "UUID" }), "deliver: UUID"),
            (
                json!({ "issue": { "request_type": "DeviceLock" } }),
                "issue: DeviceLock",
            ),
            (json!({ "wait": { "seconds": 60 } }), "wait: 60 s"),
            (
                json!({ "deny": { "code": "no-tablets" } }),
                "deny: no-tablets",
            ),
            (json!({ "allow": {} }), "allow"),
        ] {
            assert_eq!(outcome(&json!({ "verdict": verdict })), said);
        }
    }
}
