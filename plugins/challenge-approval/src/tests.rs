use lanyard_sdk::{Attribute, CertificationRequest, Decision, Device, KnownPerson};

use super::*;

const EXAMPLE: &str = include_str!("../settings.example.json");

fn plugin(settings: &str) -> Result<ChallengeApproval, String> {
    let settings = serde_json::from_str(settings).map_err(|error| error.to_string())?;
    ChallengeApproval::new(settings)
}

fn question() -> RaQuestion {
    RaQuestion {
        decision: Decision::example(),
        purpose: "identity".into(),
        request: CertificationRequest {
            subject: "O=Example,CN=device".into(),
            key_type: "rsa".into(),
            key_bits: 2048,
            spki_sha256: "00".repeat(32),
            requested_san: Vec::new(),
        },
        challenge: Challenge::Held,
        person: Some(KnownPerson {
            directory: "school".into(),
            id: "ada".into(),
            display_name: "Ada".into(),
            attributes: vec![Attribute {
                name: "groups".into(),
                values: vec!["staff".into(), "contractors".into()],
            }],
        }),
        device: Some(Device {
            udid: "00008120-0000000000000001".into(),
            facts: vec![
                Fact::new("product", "iPad13,1"),
                Fact::new("setting.tier", "high"),
            ],
        }),
        facts: Vec::new(),
    }
}

/// `approve`, or the code of the reason.
fn said(settings: &str, change: impl FnOnce(&mut RaQuestion)) -> String {
    let mut question = question();
    change(&mut question);
    match plugin(settings).unwrap().decide(question).unwrap() {
        RaVerdict::Approve(_) => "approve".to_owned(),
        RaVerdict::Deny(reason) => reason.code,
        RaVerdict::Pending(reason) => format!("pending {}", reason.code),
    }
}

#[test]
fn a_challenge_is_needed_unless_the_purpose_is_excepted() {
    let renewals = r#"{"without_challenge":["renewal"]}"#;
    let absent = |purpose: &'static str| {
        move |question: &mut RaQuestion| {
            question.challenge = Challenge::Absent;
            question.purpose = purpose.into();
        }
    };
    assert_eq!(said("{}", |_| {}), "approve");
    assert_eq!(said("{}", absent("renewal")), "challenge-absent");
    assert_eq!(said(renewals, absent("renewal")), "approve");
    assert_eq!(
        said(renewals, absent("a purpose of tomorrow")),
        "challenge-absent"
    );
    let used = |question: &mut RaQuestion| question.challenge = Challenge::Refused("used".into());
    assert_eq!(said("{}", used), "challenge-refused");
}

#[test]
fn keys_are_of_a_kind_and_size_that_is_allowed() {
    let key = |kind: &'static str, bits| {
        move |question: &mut RaQuestion| {
            question.request.key_type = kind.into();
            question.request.key_bits = bits;
        }
    };
    let large = r#"{"keys":[{"type":"rsa","min_bits":3072}]}"#;
    for (settings, kind, bits, expected) in [
        ("{}", "rsa", 1024, "key-not-allowed"),
        ("{}", "ec", 0, "approve"),
        ("{}", "1.3.101.112", 256, "key-not-allowed"),
        (large, "rsa", 2048, "key-not-allowed"),
        (large, "rsa", 3072, "approve"),
        (large, "ec", 384, "key-not-allowed"),
    ] {
        assert_eq!(
            said(settings, key(kind, bits)),
            expected,
            "{settings} {kind} {bits}"
        );
    }
}

#[test]
fn names_are_held_against_the_rules_part_by_part() {
    let ours = r#"{"subject":{"O":["Example"]},"names":["dns:*.example.com"]}"#;
    let subject = |subject: &'static str| {
        move |question: &mut RaQuestion| question.request.subject = subject.into()
    };
    let named = |name: &'static str| {
        move |question: &mut RaQuestion| question.request.requested_san = vec![name.into()]
    };
    for forged in [r"CN=x\,O=Example", "CN=x", "O=Other", "O=Example,O=Other"] {
        assert_eq!(
            said(ours, subject(forged)),
            "subject-not-allowed",
            "{forged}"
        );
    }
    assert_eq!(said(ours, subject("CN=x,O=Example")), "approve");
    assert_eq!(said(ours, named("dns:a.example.com")), "approve");
    assert_eq!(said(ours, named("email:a.example.com")), "name-not-allowed");
}

#[test]
fn what_fits_a_rule_waits_and_what_is_refused_does_not() {
    for (rule, waits) in [
        (r#""person":{"groups":["contractors"]}"#, true),
        (r#""person":{"groups":["students"]}"#, false),
        (r#""product":["iPad*"],"purpose":["identity"]"#, true),
        (r#""product":["iPad*"],"purpose":["renewal"]"#, false),
        (r#""setting":{"tier":["high"]}"#, true),
        (r#""setting":{"tier":["low"]}"#, false),
    ] {
        let settings = format!(r#"{{"manual_approval":[{{"name":"r",{rule}}}]}}"#);
        let expected = if waits {
            "pending needs-approval"
        } else {
            "approve"
        };
        assert_eq!(said(&settings, |_| {}), expected, "{rule}");
        let absent = |question: &mut RaQuestion| question.challenge = Challenge::Absent;
        assert_eq!(said(&settings, absent), "challenge-absent");
    }
}

#[test]
fn approvals_narrow_and_say_what_they_rely_upon() {
    let plugin = plugin(r#"{"validity_days":30,"key_usages":["digital-signature"]}"#).unwrap();
    let RaVerdict::Approve(terms) = plugin.decide(question()).unwrap() else {
        panic!("not approved");
    };
    assert_eq!(terms.validity_seconds, Some(30 * 24 * 3600));
    assert_eq!(terms.key_usages, Some(vec!["digital-signature".to_owned()]));
    let relied_on: Vec<_> = terms
        .relied_on
        .iter()
        .map(|fact| fact.name.as_str())
        .collect();
    assert_eq!(
        relied_on,
        [
            "purpose",
            "challenge",
            "subject",
            "key-type",
            "key-bits",
            "person",
            "device"
        ]
    );
}

#[test]
fn settings_that_cannot_be_meant_are_refused_with_what_would_be_right() {
    plugin(EXAMPLE).unwrap();
    for (settings, part) in [
        (r#"{"validity_days":0}"#, "1 to 3650"),
        (r#"{"keys":[]}"#, "keys is empty"),
        (r#"{"key_usages":[]}"#, "key_usages is empty"),
        (r#"{"key_usages":["key-agreement"]}"#, "digital-signature"),
        (r#"{"names":[]}"#, "at least one"),
        (r#"{"challenge":true}"#, "unknown field `challenge`"),
        (r#"{"manual_approval":[{"name":"all"}]}"#, "no condition"),
        (
            r#"{"manual_approval":[{"name":"","purpose":["*"]}]}"#,
            "1 to 64",
        ),
    ] {
        let refused = plugin(settings).err().unwrap();
        assert!(refused.contains(part), "{settings}: {refused}");
    }
}
