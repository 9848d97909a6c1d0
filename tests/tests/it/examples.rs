//! The plugins of `examples/`, as components in the real host: each answers its hook, and says what its settings must be.

use std::collections::BTreeMap;
use std::fs;

use lanyard_policy::{
    Approval, Attestation, ChallengeFacts, ChallengeOutcome, CommandSelection, CsrFacts, Decision,
    DeviceFacts, Directory, EnrollmentApproval, EnrollmentQuestion, EnrollmentVerdict, Event,
    EventSink, HookPoint, KeyType, Lookup, Occurrence, Person, PersonRef, Purpose, RaApproval,
    RaQuestion, RaVerdict, Secret, SelectionQuestion, SelectionVerdict, SignIn, Standing, Step,
};
use lanyard_tests::guests;
use lanyard_wasm::{Capacity, LoadError, Plugin, PluginHost, Terms};

const UDID: &str = "00008120-0000000000000001";

/// The example of a hook point, which it answers alone.
async fn example(point: HookPoint) -> Plugin {
    let host = PluginHost::new(Capacity {
        instances: 4,
        ..Capacity::default()
    })
    .unwrap();
    let component = fs::read(guests::component(&format!("example-{point}"))).unwrap();
    let plugin = host.load(component).await.unwrap();
    assert_eq!(plugin.hooks().collect::<Vec<_>>(), [point]);
    let manifest = plugin.manifest().unwrap();
    assert_eq!(manifest.name, format!("example-{point}"));
    let wanted = manifest.grants.as_ref().unwrap().keys();
    assert!(wanted.eq(plugin.capabilities()), "{manifest:?}");
    plugin
}

fn terms(settings: &str) -> Terms {
    Terms {
        settings: settings.to_owned(),
        ..Terms::new("example")
    }
}

fn decision() -> Decision {
    Decision {
        id: "d-1".to_owned(),
        at_ms: 1_750_000_000_000,
        seed: [7; 32],
        meter: Default::default(),
    }
}

fn device(product: &str) -> DeviceFacts {
    DeviceFacts {
        udid: UDID.to_owned(),
        product: Some(product.to_owned()),
        ..DeviceFacts::default()
    }
}

fn ada() -> Person {
    Person {
        directory: "example".to_owned(),
        id: "ada".to_owned(),
        display_name: "Ada".to_owned(),
        attributes: BTreeMap::from([("groups".to_owned(), vec!["staff".to_owned()])]),
    }
}

#[tokio::test]
async fn a_directory() {
    let plugin = example(HookPoint::Directory).await;
    let settings = r#"{"name":"ada","password_hash":"$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$rk2Mi3E4dgRMg0fHaYaptWVZRKqs//6b6k3/nntqGJk"}"#;
    let directory = plugin.directory(terms(settings)).await.unwrap();
    let sign_in = |password: &str| SignIn {
        decision: decision(),
        user_name: "ada".to_owned(),
        password: Secret::new(password),
        remote_address: "192.0.2.1".to_owned(),
        user_agent: None,
    };
    let step = directory.begin(sign_in("correct horse")).await.unwrap();
    assert!(matches!(step, Step::Authenticated(person) if person.id == "ada"));
    let step = directory.begin(sign_in("wrong")).await.unwrap();
    assert!(matches!(step, Step::Rejected(reason) if reason.code == "wrong-password"));
    let lookup = Lookup {
        decision: decision(),
        person: PersonRef {
            directory: "example".to_owned(),
            id: "ada".to_owned(),
        },
    };
    let standing = directory.lookup(lookup).await.unwrap();
    assert!(matches!(standing, Standing::Active(_)), "{standing:?}");
}

#[tokio::test]
async fn an_enrollment_approval() {
    let plugin = example(HookPoint::EnrollmentApproval).await;
    let approval = plugin.enrollment_approval(terms("{}")).await.unwrap();
    for (product, code) in [
        ("iPhone15,2", None),
        ("iPad13,1", Some("tablet")),
        ("Mac14,2", Some("not-a-phone")),
    ] {
        let question = EnrollmentQuestion {
            decision: decision(),
            session: "s-1".to_owned(),
            person: ada(),
            device: device(product),
            attestation: Attestation::Apple,
            remote_address: "192.0.2.1".to_owned(),
        };
        let said = match approval.decide(question).await.unwrap() {
            EnrollmentVerdict::Allow(_) => None,
            EnrollmentVerdict::Deny(reason) | EnrollmentVerdict::Pending(reason) => {
                assert!(reason.relied_on.contains_key("product"));
                Some(reason.code)
            }
        };
        assert_eq!(said.as_deref(), code, "{product}");
    }
}

#[tokio::test]
async fn a_certificate_approval() {
    let plugin = example(HookPoint::RaApproval).await;
    let approval = plugin.ra_approval(terms(r#"{"days":30}"#)).await.unwrap();
    let question = |outcome| RaQuestion {
        decision: decision(),
        endpoint: "device".to_owned(),
        transaction: "t-1".to_owned(),
        purpose: Purpose::Identity,
        csr: CsrFacts {
            subject: "CN=x".to_owned(),
            key_type: KeyType::Rsa,
            key_bits: 2048,
            spki_sha256: "00".repeat(32),
            requested_san: vec!["dns:x.example".to_owned()],
        },
        challenge: ChallengeFacts {
            outcome,
            issued_at_ms: None,
            expires_at_ms: Some(1),
            claims: BTreeMap::new(),
        },
        signer_serial: None,
        session: None,
        device: Some(device("iPhone15,2")),
        person: Some(ada()),
    };
    let verdict = approval
        .decide(question(ChallengeOutcome::Held))
        .await
        .unwrap();
    assert!(matches!(
        verdict,
        RaVerdict::Approve(Approval { amendments, .. }) if amendments.validity_seconds == Some(30 * 86_400)
    ));
    let verdict = approval
        .decide(question(ChallengeOutcome::Absent))
        .await
        .unwrap();
    assert!(matches!(verdict, RaVerdict::Deny(_)), "{verdict:?}");

    for (settings, part) in [
        (r#"{"days":0}"#, "1 to 397 are right"),
        (r#"{"dais":30}"#, "unknown field `dais`"),
        ("{}", "missing field `days`"),
    ] {
        let refused = plugin.ra_approval(terms(settings)).await.err().unwrap();
        assert!(matches!(refused, LoadError::Settings { .. }), "{refused:?}");
        assert!(refused.to_string().contains(part), "{refused}");
    }
}

#[tokio::test]
async fn a_command_selection() {
    let plugin = example(HookPoint::CommandSelection).await;
    let selection = plugin.command_selection(terms("{}")).await.unwrap();
    let question = |queue_length| SelectionQuestion {
        decision: decision(),
        enrollment: UDID.to_owned(),
        person: None,
        device: device("iPhone15,2"),
        queue: Vec::new(),
        queue_length,
        last_result: None,
    };
    let verdict = selection.select(question(0)).await.unwrap();
    let SelectionVerdict::Issue(request) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(request.request_type, "DeviceInformation");
    assert!(
        request
            .command_plist
            .contains("<string>DeviceName</string>")
    );
    let verdict = selection.select(question(3)).await.unwrap();
    assert_eq!(verdict, SelectionVerdict::Abstain);
}

#[tokio::test]
async fn an_event_sink() {
    let plugin = example(HookPoint::Event).await;
    let events = plugin.event_sink(terms("{}")).await.unwrap();
    let event = |occurrence| Event {
        decision: decision(),
        occurrence,
    };
    let enrolled = Occurrence::Enrolled {
        enrollment: UDID.to_owned(),
        person: Some(ada()),
        device: device("iPhone15,2"),
    };
    let issued = events.handle(event(enrolled)).await.unwrap();
    assert_eq!(issued.len(), 1);
    assert_eq!(
        (
            issued[0].enrollment.as_str(),
            issued[0].request.request_type.as_str()
        ),
        (UDID, "SecurityInfo")
    );
    let gone = Occurrence::CheckedOut {
        enrollment: UDID.to_owned(),
    };
    assert!(events.handle(event(gone)).await.unwrap().is_empty());
}
