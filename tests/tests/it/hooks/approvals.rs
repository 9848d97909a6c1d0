//! enrollment-approval: may this person enroll this device?

use std::sync::Arc;

use lanyard_engine::{Hooks, RefusalKind};
use lanyard_policy::{
    Allowance, Attestation, Binding, EnrollmentApproval, EnrollmentChain, EnrollmentQuestion,
    EnrollmentVerdict, HookFailure, Reason, Value,
};
use lanyard_store::{ApprovalState, Session, SessionState};

use super::{
    script::{Script, out_of_reach},
    workshop::{USER, Workshop},
};

type Approval = Script<EnrollmentQuestion, EnrollmentVerdict>;
type Answer = Result<EnrollmentVerdict, HookFailure>;

fn allow(settings: &[(&str, &str)]) -> Answer {
    let add = |allowance: Allowance, (name, value): &(&str, &str)| allowance.setting(*name, *value);
    Ok(EnrollmentVerdict::Allow(
        settings.iter().fold(Allowance::default(), add),
    ))
}

fn deny() -> Answer {
    Ok(EnrollmentVerdict::Deny(Reason::new(
        "not-yours",
        "Not yours.",
    )))
}

fn pending() -> Answer {
    pending_for("wait")
}

fn pending_for(code: &str) -> Answer {
    Ok(EnrollmentVerdict::Pending(Reason::new(
        code,
        "Somebody looks at it.",
    )))
}

async fn workshop(answers: &[Answer]) -> (Workshop, Vec<Arc<Approval>>) {
    let scripts = answers.iter().cloned().map(Approval::new).map(Arc::new);
    let scripts: Vec<_> = scripts.collect();
    let bindings = scripts.iter().enumerate().map(|(number, script)| {
        let hook: Arc<dyn EnrollmentApproval> = Arc::clone(script) as _;
        Binding::new(format!("approval-{number}"), hook)
    });
    let hooks = Hooks {
        enrollment: EnrollmentChain::new(bindings.collect()),
        ..Hooks::default()
    };
    (Workshop::open(hooks, Vec::new()).await, scripts)
}

async fn session(workshop: &Workshop) -> Session {
    let sessions = workshop
        .store
        .sessions_of_person("local-users", USER, 10)
        .await;
    let mut sessions = sessions.unwrap();
    assert_eq!(sessions.len(), 1);
    sessions.remove(0)
}

#[tokio::test]
async fn the_question_tells_who_and_what_and_who_vouches_for_it() {
    let (workshop, scripts) = workshop(&[allow(&[])]).await;
    let newcomer = workshop.newcomer().await;
    workshop.identify(&newcomer.message).await.unwrap();
    let questions = scripts[0].asked();
    let [question] = &questions[..] else {
        panic!("asked {} times", questions.len());
    };
    let facts = &newcomer.device.model.facts;
    assert_eq!(
        (
            question.person.directory.as_str(),
            question.person.id.as_str()
        ),
        ("local-users", USER)
    );
    assert_eq!(question.device.udid, facts.udid);
    assert_eq!(question.device.serial.as_ref(), Some(&facts.serial_number));
    assert_eq!(question.device.product.as_ref(), Some(&facts.product_name));
    assert_eq!(question.remote_address, "192.0.2.7");
    assert!(matches!(question.attestation, Attestation::Other { .. }));
    assert_eq!(question.session, session(&workshop).await.id.to_string());
}

#[tokio::test]
async fn a_denial_ends_the_session_for_good() {
    for answers in [&[deny()][..], &[allow(&[]), deny()], &[pending(), deny()]] {
        let (workshop, scripts) = workshop(answers).await;
        let newcomer = workshop.newcomer().await;
        let refusal = workshop.identify(&newcomer.message).await.unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::Forbidden, "{refusal}");
        assert!(refusal.to_string().contains("not-yours"), "{refusal}");
        let denied = session(&workshop).await;
        assert_eq!(denied.state, SessionState::Refused);
        assert!(denied.device.is_none());
        for script in scripts {
            script.say(allow(&[]));
        }
        let refusal = workshop.identify(&newcomer.message).await.unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::BadRequest, "{refusal}");
    }
}

#[tokio::test]
async fn waiting_and_failing_leave_the_session_and_the_same_message_may_come_again() {
    for (answers, kind) in [
        ([pending(), allow(&[])], RefusalKind::Forbidden),
        ([allow(&[]), pending()], RefusalKind::Forbidden),
        ([out_of_reach(), allow(&[])], RefusalKind::Unavailable),
        ([allow(&[]), out_of_reach()], RefusalKind::Unavailable),
    ] {
        let (workshop, scripts) = workshop(&answers).await;
        let newcomer = workshop.newcomer().await;
        let refusal = workshop.identify(&newcomer.message).await.unwrap_err();
        assert_eq!(refusal.kind(), kind, "{refusal}");
        let untouched = session(&workshop).await;
        assert_eq!(untouched.state, SessionState::Authenticated);
        assert!(untouched.device.is_none() && untouched.settings.is_none());
        for script in scripts {
            script.say(allow(&[]));
        }
        workshop.identify(&newcomer.message).await.unwrap();
        assert_eq!(session(&workshop).await.state, SessionState::Identified);
    }
}

#[tokio::test]
async fn settings_of_all_approvals_are_stored_and_contradictions_deny() {
    let answers = [
        allow(&[("wifi", "staff")]),
        allow(&[("wifi", "staff"), ("vpn", "on")]),
    ];
    let (workshop, _) = self::workshop(&answers).await;
    let newcomer = workshop.newcomer().await;
    workshop.identify(&newcomer.message).await.unwrap();
    let settings = session(&workshop).await.settings.unwrap();
    let stored: lanyard_policy::Facts = serde_json::from_value(settings).unwrap();
    let expected = [("vpn", "on"), ("wifi", "staff")];
    let expected = expected.map(|(name, value)| (name.to_owned(), Value::from(value)));
    assert_eq!(stored, expected.into());

    let answers = [allow(&[("wifi", "staff")]), allow(&[("wifi", "guests")])];
    let (workshop, _) = self::workshop(&answers).await;
    let newcomer = workshop.newcomer().await;
    let refusal = workshop.identify(&newcomer.message).await.unwrap_err();
    assert_eq!(refusal.kind(), RefusalKind::Forbidden, "{refusal}");
    assert_eq!(session(&workshop).await.state, SessionState::Refused);
}

#[tokio::test]
async fn a_persons_answer_decides_the_next_attempt() {
    for approved in [true, false] {
        let (workshop, _) = workshop(&[pending(), pending()]).await;
        let newcomer = workshop.newcomer().await;
        for _ in 0..2 {
            let refusal = workshop.identify(&newcomer.message).await.unwrap_err();
            assert_eq!(refusal.kind(), RefusalKind::Forbidden, "{refusal}");
        }
        let waiting = workshop.approvals().await;
        assert_eq!(waiting.len(), 2, "one a binding");
        assert_eq!(waiting[0].subject.udid, newcomer.device.udid());
        workshop.answer(&waiting[0], approved).await;
        let next = workshop.identify(&newcomer.message).await;
        if approved {
            assert_eq!(next.unwrap_err().kind(), RefusalKind::Forbidden);
            workshop.answer(&waiting[1], true).await;
            workshop.identify(&newcomer.message).await.unwrap();
            assert_eq!(session(&workshop).await.state, SessionState::Identified);
        } else {
            let refusal = next.unwrap_err();
            assert!(
                refusal.to_string().contains("as the test says"),
                "{refusal}"
            );
            assert_eq!(session(&workshop).await.state, SessionState::Refused);
        }
    }
}

#[tokio::test]
async fn a_yes_is_for_the_device_that_was_looked_at() {
    let (workshop, _) = workshop(&[pending()]).await;
    let mut newcomer = workshop.newcomer().await;
    workshop.identify(&newcomer.message).await.unwrap_err();
    let first = workshop.approvals().await.remove(0);
    let shown = &first.asked.shown.facts["device"];
    let facts = &newcomer.device.model.facts;
    assert_eq!(shown["serial"], *facts.serial_number);
    assert_eq!(shown["build"], *facts.build_version);
    workshop.answer(&first, true).await;

    newcomer.device.model.facts.serial_number = "ANOTHER0SERIAL".to_owned();
    for _ in 0..2 {
        let message = workshop.message_of(&newcomer.device).await;
        let refusal = workshop.identify(&message).await.unwrap_err();
        assert_eq!(refusal.kind(), RefusalKind::Forbidden, "{refusal}");
    }
    let waiting = workshop.approvals().await;
    assert_eq!(waiting.len(), 1, "asked again, once");
    assert_eq!(
        waiting[0].asked.shown.facts["device"]["serial"],
        "ANOTHER0SERIAL"
    );
    let id = first.asked.id.to_string();
    let replaced = workshop.engine.approval(&id).await.unwrap();
    assert_eq!(replaced.state, ApprovalState::Expired);

    // An update is no other device.
    workshop.answer(&waiting[0], true).await;
    newcomer.device.model.facts.build_version = "99Z999".to_owned();
    let message = workshop.message_of(&newcomer.device).await;
    workshop.identify(&message).await.unwrap();
}

#[tokio::test]
async fn an_answer_is_for_the_reason_that_was_given() {
    for approved in [true, false] {
        let (workshop, scripts) = workshop(&[pending()]).await;
        let newcomer = workshop.newcomer().await;
        workshop.identify(&newcomer.message).await.unwrap_err();
        let first = workshop.approvals().await.remove(0);
        workshop.answer(&first, approved).await;
        scripts[0].say(pending_for("reported-stolen"));
        let refusal = workshop.identify(&newcomer.message).await.unwrap_err();
        assert!(refusal.to_string().contains("waits"), "{refusal}");
        let waiting = workshop.approvals().await;
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].asked.code, "reported-stolen");
        workshop.answer(&waiting[0], true).await;
        workshop.identify(&newcomer.message).await.unwrap();
    }
}
