use lanyard_sdk::{
    Attribute, CommandResult, Decision, Device, Fact, KnownPerson, QueuedCommand, ResultStatus,
};

use super::*;

const EXAMPLE: &str = include_str!("../settings.example.json");
const UDID: &str = "00008120-0000000000000001";

fn plugin(settings: &str) -> Result<CommandRules, String> {
    let settings = serde_json::from_str(settings).map_err(|error| error.to_string())?;
    CommandRules::new(settings)
}

/// A plugin with one rule: its `when`, and commands.
fn with_rule(when: &str, then: &str) -> CommandRules {
    plugin(&format!(
        r#"{{"rules":[{{"name":"r","when":{when},"then":[{then}]}}]}}"#
    ))
    .unwrap()
}

fn device() -> Device {
    Device {
        udid: UDID.into(),
        facts: vec![
            Fact::new("product", "iPhone15,2"),
            Fact::new("setting.tier", "high"),
        ],
    }
}

fn happening(kind: &str) -> Happening {
    Happening {
        decision: Decision::example(),
        kind: kind.into(),
        enrollment: Some(UDID.into()),
        person: Some(KnownPerson {
            directory: "school".into(),
            id: "ada".into(),
            display_name: String::new(),
            attributes: vec![Attribute {
                name: "groups".into(),
                values: vec!["staff".into()],
            }],
        }),
        device: Some(device()),
        command: None,
        facts: Vec::new(),
    }
}

fn issued(plugin: &CommandRules, happening: Happening) -> Vec<(String, String)> {
    let issued = plugin.handle(happening).unwrap().into_iter();
    issued
        .map(|issued| (issued.enrollment, issued.command.request_type))
        .collect()
}

#[test]
fn a_rule_counts_when_all_of_its_conditions_fit() {
    for (conditions, fits) in [
        ("", true),
        (r#","device":{"product":["iPhone*"]}"#, true),
        (r#","device":{"product":["iPad*"]}"#, false),
        (r#","device":{"imei":["*"]}"#, false),
        (r#","setting":{"tier":["high","low"]}"#, true),
        (r#","setting":{"tier":["low"]}"#, false),
        (r#","person":{"groups":["staff"]}"#, true),
        (
            r#","person":{"groups":["students"]},"device":{"product":["*"]}"#,
            false,
        ),
        (r#","directory":["school"]"#, true),
        (r#","directory":["work"]"#, false),
    ] {
        let when = format!(r#"{{"event":"enrolled"{conditions}}}"#);
        let plugin = with_rule(&when, r#"{"command":"SecurityInfo"}"#);
        let expected = fits.then(|| (UDID.to_owned(), "SecurityInfo".to_owned()));
        assert_eq!(
            issued(&plugin, happening("enrolled")),
            Vec::from_iter(expected),
            "{when}"
        );
        assert!(issued(&plugin, happening("checked-out")).is_empty());
    }
}

#[test]
fn all_devices_of_a_disabled_person_are_locked_with_what_the_settings_say() {
    let lock = r#"{"command":"DeviceLock","message":"Call us","pin":"123456"}"#;
    let plugin = with_rule(r#"{"event":"person-disabled"}"#, lock);
    let mut event = happening("person-disabled");
    event.enrollment = None;
    let ids = vec!["one".to_owned(), "two".to_owned()];
    event.facts = vec![Fact::new("enrollments", ids)];
    let first = plugin.handle(event.clone()).unwrap();
    let enrollments: Vec<_> = first.iter().map(|each| each.enrollment.as_str()).collect();
    assert_eq!(enrollments, ["one", "two"]);
    for part in ["<string>Call us</string>", "<string>123456</string>"] {
        assert!(first[0].command.command_plist.contains(part));
    }
    // Told again, it is the same command; another time, it is another.
    let again = plugin.handle(event.clone()).unwrap();
    assert_eq!(first[0].command.dedupe_key, again[0].command.dedupe_key);
    event.decision.id = "another".into();
    let later = plugin.handle(event).unwrap();
    assert_ne!(first[0].command.dedupe_key, later[0].command.dedupe_key);
}

#[test]
fn answers_and_ticks_lead_to_commands() {
    let when = r#"{"event":"command-finished","request_type":["SecurityInfo"],"status":["error"]}"#;
    let rules = with_rule(when, r#"{"command":"ProfileList"}"#);
    for (request_type, status, expected) in [
        ("SecurityInfo", ResultStatus::Error, 1),
        ("SecurityInfo", ResultStatus::Acknowledged, 0),
        ("DeviceLock", ResultStatus::Error, 0),
    ] {
        let mut event = happening("command-finished");
        event.command = Some(result(request_type, status));
        assert_eq!(
            issued(&rules, event).len(),
            expected,
            "{request_type} {status:?}"
        );
    }

    let rule = r#"{"rules":[{"name":"nightly","when":{"event":"tick","schedule":["0 2 * * *"]},
        "devices":["one"],"then":[{"command":"Other","request_type":"RestartDevice"}]}]}"#;
    let plugin = plugin(rule).unwrap();
    for (schedule, expected) in [("0 2 * * *", 1), ("0 3 * * *", 0)] {
        let mut event = happening("tick");
        event.facts = vec![Fact::new("schedule", schedule)];
        assert_eq!(issued(&plugin, event).len(), expected, "{schedule}");
    }
}

fn result(request_type: &str, status: ResultStatus) -> CommandResult {
    CommandResult {
        uuid: "u".into(),
        request_type: Some(request_type.into()),
        status,
        at_ms: 0,
        error: None,
    }
}

fn question(at_ms: i64, queue: &[(&str, bool)]) -> SelectionQuestion {
    let queued = |(request_type, not_now): &(&str, bool)| QueuedCommand {
        uuid: format!("uuid of {request_type}"),
        request_type: (*request_type).into(),
        queued_at_ms: 0,
        not_now: *not_now,
    };
    SelectionQuestion {
        decision: Decision {
            at_ms,
            ..Decision::example()
        },
        enrollment: UDID.into(),
        person: None,
        device: device(),
        queue: queue.iter().map(queued).collect(),
        queue_length: queue.len() as u64,
        last_result: None,
        facts: Vec::new(),
    }
}

#[test]
fn quiet_hours_hold_back_what_can_wait() {
    let plugin = plugin(r#"{"quiet_hours":{"from":"00:00","to":"06:00"},"rules":[]}"#).unwrap();
    let select = |question| plugin.select(question).unwrap();
    let waits = select(question(HOUR_MS, &[("ProfileList", false)]));
    assert!(matches!(waits, SelectionVerdict::Wait(18_000)), "{waits:?}");
    let queue = [("ProfileList", false), ("DeviceLock", true)];
    let urgent = select(question(HOUR_MS, &queue));
    assert!(matches!(urgent, SelectionVerdict::Deliver(uuid) if uuid == "uuid of DeviceLock"));
    let mut put_off = question(HOUR_MS, &queue);
    put_off.last_result = Some(result("DeviceLock", ResultStatus::NotNow));
    assert!(matches!(select(put_off), SelectionVerdict::Wait(_)));
    assert!(matches!(
        select(question(HOUR_MS, &[])),
        SelectionVerdict::Abstain
    ));
    let day = select(question(7 * HOUR_MS, &[("ProfileList", false)]));
    assert!(matches!(day, SelectionVerdict::Abstain), "{day:?}");
}

#[test]
fn idle_devices_get_one_command_after_another_once_an_interval() {
    let plugin = with_rule(
        r#"{"event":"idle","every_hours":24}"#,
        r#"{"command":"SecurityInfo"},{"command":"ProfileList"}"#,
    );
    let select = |at_ms, answered: Option<&str>| {
        let mut question = question(at_ms, &[]);
        question.last_result = answered.map(|name| result(name, ResultStatus::Acknowledged));
        match plugin.select(question).unwrap() {
            SelectionVerdict::Issue(request) => Some((request.request_type, request.dedupe_key)),
            _ => None,
        }
    };
    let (first, key) = select(0, None).unwrap();
    assert_eq!(first, "SecurityInfo");
    assert_eq!(select(23 * HOUR_MS, None).unwrap().1, key);
    assert_ne!(select(24 * HOUR_MS, None).unwrap().1, key);
    assert_eq!(select(0, Some("SecurityInfo")).unwrap().0, "ProfileList");
    assert_eq!(select(0, Some("ProfileList")), None);
    assert_eq!(select(0, Some("DeviceLock")).unwrap().0, "SecurityInfo");
    let busy = plugin
        .select(question(0, &[("DeviceLock", false)]))
        .unwrap();
    assert!(matches!(busy, SelectionVerdict::Abstain));
}

#[test]
fn rules_that_cannot_be_meant_are_refused_with_what_would_be_right() {
    plugin(EXAMPLE).unwrap();
    let info = r#"[{"command":"SecurityInfo"}]"#;
    for (rule, part) in [
        (format!(r#"{{"name":"A rule","when":{{"event":"enrolled"}},"then":{info}}}"#), "lower-case letters"),
        (format!(r#"{{"name":"r","when":{{"event":"expired"}},"then":{info}}}"#), "unknown variant `expired`"),
        (r#"{"name":"r","when":{"event":"enrolled"},"then":[]}"#.to_owned(), "at least one command"),
        (format!(r#"{{"name":"r","when":{{"event":"person-disabled","device":{{"product":["*"]}}}},"then":{info}}}"#), "`device` is not known of person-disabled"),
        (format!(r#"{{"name":"r","when":{{"event":"tick"}},"then":{info}}}"#), "`devices`"),
        (format!(r#"{{"name":"r","when":{{"event":"idle"}},"then":{info}}}"#), "`every_hours` is needed"),
        (format!(r#"{{"name":"r","when":{{"event":"command-finished"}},"then":{info}}}"#), "`request_type`"),
        (format!(r#"{{"name":"r","when":{{"event":"command-finished","request_type":["SecurityInfo"]}},"then":{info}}}"#), "for ever"),
        (r#"{"name":"r","when":{"event":"enrolled"},"then":[{"command":"DeviceLock","pin":"12"}]}"#.to_owned(), "six digits"),
        (r#"{"name":"r","when":{"event":"enrolled"},"then":[{"command":"DeviceLock","pim":"123456"}]}"#.to_owned(), "unknown field `pim`"),
        (r#"{"name":"r","when":{"event":"enrolled"},"then":[{"command":"DeviceInformation","queries":[]}]}"#.to_owned(), "1 to 128"),
    ] {
        let refused = plugin(&format!(r#"{{"rules":[{rule}]}}"#)).err().unwrap();
        assert!(refused.contains(part), "{rule}: {refused}");
        assert!(!refused.contains("123456"), "{refused}");
    }
    let twice = format!(r#"{{"name":"r","when":{{"event":"enrolled"}},"then":{info}}}"#);
    let refused = plugin(&format!(r#"{{"rules":[{twice},{twice}]}}"#))
        .err()
        .unwrap();
    assert!(refused.contains("two rules are called"), "{refused}");
}
