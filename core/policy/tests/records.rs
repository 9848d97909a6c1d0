//! Every question and verdict can be written down and read back, and no secret is in what is written.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use lanyard_policy::*;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(original: &T) -> String {
    let written = serde_json::to_string(original).unwrap();
    let read: T = serde_json::from_str(&written).unwrap();
    assert_eq!(&read, original, "{written}");
    written
}

fn decision() -> Decision {
    Decision {
        id: "d-1".to_owned(),
        at_ms: 1_750_000_000_000,
        seed: [7; 32],
        meter: Default::default(),
    }
}

fn person() -> Person {
    Person {
        directory: "local-users".to_owned(),
        id: "ada".to_owned(),
        display_name: "Ada".to_owned(),
        attributes: BTreeMap::from([("groups".to_owned(), vec!["staff".to_owned()])]),
    }
}

fn device() -> DeviceFacts {
    DeviceFacts {
        udid: "00008110-001".to_owned(),
        serial: Some("F4K".to_owned()),
        product: Some("iPhone16,1".to_owned()),
        build: Some("22F76".to_owned()),
        further: Facts::from([("IsSupervised".to_owned(), true.into())]),
        ..DeviceFacts::default()
    }
}

fn reason() -> Reason {
    Reason::new("not-in-group", "You are not in the group that may enroll.")
        .relying_on("groups", vec!["staff".to_owned()])
}

fn command_request() -> CommandRequest {
    CommandRequest {
        dedupe_key: "weekly-info".to_owned(),
        request_type: "DeviceInformation".to_owned(),
        command_plist: "<plist/>".to_owned(),
        reason: reason(),
    }
}

fn command_result(status: ResultStatus) -> CommandResult {
    CommandResult {
        uuid: "u-1".to_owned(),
        request_type: Some("DeviceLock".to_owned()),
        status,
        at_ms: -1,
        error: Some("MCMDMErrorDomain 12021".to_owned()),
    }
}

fn secret_input(text: &str) -> BTreeMap<String, Secret> {
    BTreeMap::from([("code".to_owned(), Secret::new(text))])
}

#[test]
fn directory_questions_and_verdicts() {
    check(&Lookup {
        decision: decision(),
        person: person().reference(),
    });
    for step in [
        Step::Authenticated(person()),
        Step::Rejected(reason()),
        Step::Abstain,
        Step::Ask {
            fields: vec![Field {
                name: "code".to_owned(),
                label: "Code".to_owned(),
                kind: FieldKind::OneTimeCode,
            }],
            state: vec![0, 255],
        },
        Step::Redirect {
            url: "https://idp.example/".to_owned(),
            state: Vec::new(),
        },
    ] {
        check(&step);
    }
    for standing in [
        Standing::Active(person()),
        Standing::Disabled(reason()),
        Standing::Unknown,
        Standing::Unavailable,
    ] {
        check(&standing);
    }
}

#[test]
fn enrollment_questions_and_verdicts() {
    for attestation in [
        Attestation::Apple,
        Attestation::Other {
            root_sha256: "00".repeat(32),
        },
        Attestation::None {
            reason: "no chain".to_owned(),
        },
    ] {
        check(&EnrollmentQuestion {
            decision: decision(),
            session: "s".to_owned(),
            person: person(),
            device: device(),
            attestation,
            remote_address: "192.0.2.1".to_owned(),
        });
    }
    check(&EnrollmentVerdict::Allow(Allowance::default()));
    check(&EnrollmentVerdict::Allow(
        Allowance::default().setting("ring", 3),
    ));
    check(&EnrollmentVerdict::Deny(reason()));
    check(&EnrollmentVerdict::Pending(reason()));
}

#[test]
fn certificate_questions_and_verdicts() {
    let outcomes = [
        ChallengeOutcome::Held,
        ChallengeOutcome::Absent,
        ChallengeOutcome::Refused {
            reason: "used".to_owned(),
        },
    ];
    let keys = [
        KeyType::Rsa,
        KeyType::Ec,
        KeyType::Other("1.3.101.112".to_owned()),
    ];
    for ((outcome, key_type), purpose) in outcomes.into_iter().zip(keys).zip([
        Purpose::OtaInterim,
        Purpose::Identity,
        Purpose::Renewal,
    ]) {
        let written = check(&RaQuestion {
            decision: decision(),
            endpoint: "device".to_owned(),
            transaction: "ab12".to_owned(),
            purpose,
            csr: CsrFacts {
                subject: "CN=Ada".to_owned(),
                key_type,
                key_bits: 2048,
                spki_sha256: "00".repeat(32),
                requested_san: vec!["dns:a.example".to_owned()],
            },
            challenge: ChallengeFacts {
                outcome,
                issued_at_ms: Some(1),
                expires_at_ms: None,
                claims: Facts::from([("session".to_owned(), "s".into())]),
            },
            signer_serial: None,
            session: Some("s".to_owned()),
            device: Some(device()),
            person: Some(person()),
        });
        assert!(written.contains(&format!("\"purpose\":\"{}\"", purpose.as_str())));
    }
    check(&RaVerdict::Approve(Approval::default()));
    check(&RaVerdict::Approve(Approval {
        amendments: Amendments {
            validity_seconds: Some(u64::MAX),
            key_usages: Some(BTreeSet::from([KeyUsage::DigitalSignature])),
        },
        relied_on: Facts::new(),
    }));
    check(&RaVerdict::Deny(reason()));
    check(&RaVerdict::Pending(reason()));
}

#[test]
fn selection_questions_and_verdicts() {
    check(&SelectionQuestion {
        decision: decision(),
        enrollment: "00008110-001".to_owned(),
        person: Some(person().reference()),
        device: device(),
        queue: vec![QueuedCommand {
            uuid: "u-2".to_owned(),
            request_type: "ProfileList".to_owned(),
            queued_at_ms: 5,
            not_now: true,
        }],
        queue_length: 40,
        last_result: Some(command_result(ResultStatus::NotNow)),
    });
    for verdict in [
        SelectionVerdict::Deliver("u-2".to_owned()),
        SelectionVerdict::Issue(command_request()),
        SelectionVerdict::Wait { seconds: 60 },
        SelectionVerdict::Abstain,
    ] {
        check(&verdict);
    }
}

#[test]
fn events_and_what_they_ask_for() {
    for occurrence in [
        Occurrence::Enrolled {
            enrollment: "e".to_owned(),
            person: Some(person()),
            device: device(),
        },
        Occurrence::CheckedOut {
            enrollment: "e".to_owned(),
        },
        Occurrence::CommandFinished {
            enrollment: "e".to_owned(),
            result: command_result(ResultStatus::CommandFormatError),
            device: Some(device()),
        },
        Occurrence::CertificateIssued {
            serial: "0a".to_owned(),
            purpose: Purpose::Other,
            person: None,
            udid: None,
        },
        Occurrence::PersonDisabled {
            person: person().reference(),
            enrollments: vec!["e".to_owned()],
        },
        Occurrence::Tick {
            schedule: "0 3 * * *".to_owned(),
        },
    ] {
        check(&Event {
            decision: decision(),
            occurrence,
        });
    }
    check(&IssuedCommand {
        enrollment: "e".to_owned(),
        request: command_request(),
    });
}

#[test]
fn failures_are_recorded_under_their_code() {
    for failure in [
        HookFailure::Trapped {
            detail: "unreachable".to_owned(),
        },
        HookFailure::OutOfFuel { limit: 1 },
        HookFailure::DeadlineExceeded { limit_ms: 1 },
        HookFailure::MemoryLimit {
            resource: "memory".to_owned(),
            limit: 1,
            unit: "bytes".to_owned(),
        },
        HookFailure::HostCallLimit {
            what: "secret-verify".to_owned(),
            limit: 1,
        },
        HookFailure::Unavailable {
            detail: "busy".to_owned(),
        },
        HookFailure::InvalidAnswer {
            detail: "no id".to_owned(),
        },
    ] {
        let written = check(&failure);
        assert!(
            written.contains(&format!("\"code\":\"{}\"", failure.code())),
            "{written}"
        );
    }
}

#[test]
fn a_cleartext_in_a_record_is_not_believed() {
    let read: Secret = serde_json::from_str("\"hunter2\"").unwrap();
    assert!(read.is_redacted());
    assert_eq!(read.expose(), "");
    assert_ne!(read, Secret::new(""));
}

proptest! {
    #[test]
    fn a_secret_is_in_nothing_that_is_written(text in "[^\\p{Cc}\"\\\\]{12,40}") {
        let sign_in = SignIn {
            decision: decision(),
            user_name: "ada".to_owned(),
            password: Secret::new(text.clone()),
            remote_address: "192.0.2.1".to_owned(),
            user_agent: None,
        };
        let resumed = ResumeSignIn {
            decision: decision(),
            state: vec![1, 2],
            input: secret_input(&text),
            remote_address: "192.0.2.1".to_owned(),
            user_agent: Some("Safari".to_owned()),
        };
        prop_assert_eq!(sign_in.password.expose(), &text);
        for written in [
            serde_json::to_string(&sign_in).unwrap(),
            serde_json::to_string(&resumed).unwrap(),
            format!("{sign_in:?}"),
            format!("{resumed:#?}"),
        ] {
            prop_assert!(!written.contains(&text), "{}", written);
            prop_assert!(written.contains("[redacted]"));
        }
        check(&SignIn { password: Secret::redacted(), ..sign_in });
        check(&ResumeSignIn {
            input: BTreeMap::from([("code".to_owned(), Secret::redacted())]),
            ..resumed
        });
    }

    #[test]
    fn any_value_reads_back(
        text in ".*", number: i64, flag: bool, list in proptest::collection::vec(".*", 0..4)
    ) {
        for value in [
            Value::Text(text.clone()),
            Value::Integer(number),
            Value::Boolean(flag),
            Value::List(list.clone()),
        ] {
            check(&value);
        }
    }

    #[test]
    fn secrets_are_equal_when_their_texts_are(one in ".{0,6}", other in ".{0,6}") {
        prop_assert_eq!(Secret::new(one.clone()) == Secret::new(other.clone()), one == other);
    }
}
