//! What waits for a person's answer.

use lanyard_store::{
    APPROVAL_STANDS, AnswerOutcome, Approval, ApprovalAnswer, ApprovalState, ApprovalSubject,
    AskOutcome, DeferOutcome, Deferral, Identification, IdentifyOutcome, IssueOutcome, NewApproval,
    RequestKey, Session, Shown, Standing, Store, TooManyPending, TransactionState,
};
use serde_json::json;
use uuid::Uuid;

use crate::database::{UDID, at, certificate, challenge, issuance, key, new_database, new_session};

const NO: ApprovalAnswer<'_> = ApprovalAnswer {
    approved: false,
    by: "rosa",
    note: Some("not hers"),
};
const YES: ApprovalAnswer<'_> = ApprovalAnswer {
    approved: true,
    by: "rosa",
    note: None,
};

fn enrollment(person: &str) -> ApprovalSubject {
    ApprovalSubject {
        directory: "local-users".into(),
        person_id: person.into(),
        udid: UDID.into(),
        request: None,
    }
}

fn certificate_of(n: u32, csr: &str) -> ApprovalSubject {
    ApprovalSubject {
        request: Some(RequestKey {
            transaction: key(n),
            csr_sha256: csr.into(),
        }),
        ..enrollment("amina")
    }
}

fn asks(binding: &str) -> NewApproval {
    asks_about(binding, "look", "this")
}

fn asks_about(binding: &str, code: &str, what: &str) -> NewApproval {
    NewApproval {
        id: Uuid::new_v4(),
        binding: binding.into(),
        code: code.into(),
        message: "Somebody looks at it.".into(),
        decision_id: "decision-1".into(),
        shown: Shown {
            facts: json!({ "what": what }),
            sha256: what.into(),
        },
    }
}

/// A request of session 1 that is to wait for these bindings.
pub(crate) async fn defer(
    store: &Store,
    n: u32,
    csr: &str,
    bindings: &[&str],
    seconds: u64,
) -> DeferOutcome {
    let approvals: Vec<NewApproval> = bindings.iter().map(|binding| asks(binding)).collect();
    let deferral = Deferral {
        key: &key(n),
        csr_sha256: csr,
        challenge: &challenge(1),
        request: b"the request",
        reason: "asked",
        session: Uuid::from_u128(1),
        subject: &certificate_of(n, csr),
        approvals: &approvals,
    };
    store
        .defer_transaction(deferral, at(seconds))
        .await
        .unwrap()
}

async fn standing(store: &Store, subject: &ApprovalSubject, seconds: u64) -> Vec<Approval> {
    let standing = store.standing_approvals(subject, at(seconds));
    standing.await.unwrap()
}

async fn answer(store: &Store, id: Uuid, answer: ApprovalAnswer<'_>, seconds: u64) -> Approval {
    match store
        .answer_approval(id, answer, at(seconds))
        .await
        .unwrap()
    {
        AnswerOutcome::Answered(approval) => *approval,
        other => panic!("{other:?}"),
    }
}

async fn session(store: &Store) -> Session {
    let session = store.find_session(Uuid::from_u128(1)).await;
    session.unwrap().unwrap()
}

#[tokio::test]
async fn each_binding_asks_once_about_one_subject() {
    let store = new_database().await;
    let subject = enrollment("amina");
    for seconds in 0..3 {
        let asked = [asks("first"), asks("second")];
        let outcome = store.ask_approvals(&subject, &asked, at(seconds)).await;
        assert_eq!(outcome.unwrap(), AskOutcome::Waiting);
    }
    let waiting = standing(&store, &subject, 3).await;
    let bindings: Vec<_> = waiting
        .iter()
        .map(|each| each.asked.binding.as_str())
        .collect();
    assert_eq!(bindings, ["first", "second"]);
    assert!(waiting.iter().all(|each| each.created_at == at(0)));
    assert!(
        waiting
            .iter()
            .all(|each| each.state == ApprovalState::Pending)
    );
    assert_eq!(waiting[0].subject, subject);
    for other in [enrollment("boris"), certificate_of(1, "csr-1")] {
        assert_eq!(standing(&store, &other, 3).await, []);
    }
}

#[tokio::test]
async fn nobody_fills_the_inbox() {
    let store = new_database().await;
    for n in 0..1_000 {
        let subject = ApprovalSubject {
            udid: format!("device-{n}"),
            ..enrollment(&format!("person-{}", n / 16))
        };
        let outcome = store.ask_approvals(&subject, &[asks("b")], at(0)).await;
        assert_eq!(outcome.unwrap(), AskOutcome::Waiting, "{n}");
    }
    for (person, expected) in [
        ("person-0", TooManyPending::OfPerson),
        ("somebody else", TooManyPending::InAll),
    ] {
        let ask = |seconds| {
            let subject = enrollment(person);
            let store = &store;
            async move {
                store
                    .ask_approvals(&subject, &[asks("b")], at(seconds))
                    .await
            }
        };
        assert_eq!(ask(1).await.unwrap(), AskOutcome::TooMany(expected));
        assert_eq!(standing(&store, &enrollment(person), 1).await, []);
    }
    let week = APPROVAL_STANDS.as_secs();
    let outcome = store
        .ask_approvals(&enrollment("person-0"), &[asks("b")], at(week))
        .await;
    assert_eq!(outcome.unwrap(), AskOutcome::Waiting, "a week later");
}

#[tokio::test]
async fn another_question_takes_the_place_of_the_one_before() {
    let store = new_database().await;
    let subject = enrollment("amina");
    let mut before = asks("b");
    store
        .ask_approvals(&subject, std::slice::from_ref(&before), at(0))
        .await
        .unwrap();
    for (code, what, approved) in [
        ("look", "that", false),
        ("look closer", "that", true),
        ("look", "this", false),
    ] {
        if approved {
            answer(&store, before.id, YES, 1).await;
        }
        let other = asks_about("b", code, what);
        for _ in 0..2 {
            let asked = [other.clone(), asks("beside")];
            let outcome = store.ask_approvals(&subject, &asked, at(1)).await;
            assert_eq!(outcome.unwrap(), AskOutcome::Waiting);
        }
        let standing = standing(&store, &subject, 2).await;
        let of_b = standing.iter().filter(|each| each.asked.binding == "b");
        let asked: Vec<_> = of_b.map(|each| each.asked.clone()).collect();
        assert_eq!(asked, std::slice::from_ref(&other));
        let over = store.answer_approval(before.id, YES, at(2)).await.unwrap();
        assert!(
            matches!(&over, AnswerOutcome::Over(old) if old.state == ApprovalState::Expired),
            "{over:?}"
        );
        before = other;
    }
    assert_eq!(standing(&store, &subject, 2).await.len(), 2);
    // A no is somebody's word, and is there when its question comes back.
    answer(&store, before.id, NO, 3).await;
    let other = [asks_about("b", "look", "that")];
    store.ask_approvals(&subject, &other, at(4)).await.unwrap();
    let no = store.find_approval(before.id).await.unwrap().unwrap();
    assert_eq!(no.state, ApprovalState::Denied);
    store
        .ask_approvals(&subject, &[before], at(5))
        .await
        .unwrap();
    assert_eq!(standing(&store, &subject, 5).await.len(), 3);
}

#[tokio::test]
async fn whoever_has_all_their_places_may_replace_and_not_add() {
    let store = new_database().await;
    let of_device = |n: u32| ApprovalSubject {
        udid: format!("device-{n}"),
        ..enrollment("amina")
    };
    for n in 0..16 {
        store
            .ask_approvals(&of_device(n), &[asks("b")], at(0))
            .await
            .unwrap();
    }
    let other = || [asks_about("b", "look", "that")];
    let replaced = store.ask_approvals(&of_device(3), &other(), at(1)).await;
    assert_eq!(replaced.unwrap(), AskOutcome::Waiting);
    let added = store.ask_approvals(&of_device(16), &other(), at(1)).await;
    let too_many = AskOutcome::TooMany(TooManyPending::OfPerson);
    assert_eq!(added.unwrap(), too_many);
    // What was answered had no place any more, and its successor finds none.
    let answered = standing(&store, &of_device(4), 1).await;
    answer(&store, answered[0].asked.id, YES, 2).await;
    let filled = store.ask_approvals(&of_device(16), &other(), at(2)).await;
    assert_eq!(filled.unwrap(), AskOutcome::Waiting);
    let refused = store.ask_approvals(&of_device(4), &other(), at(3)).await;
    assert_eq!(refused.unwrap(), too_many);
    let untouched = standing(&store, &of_device(4), 3).await;
    assert_eq!(untouched[0].state, ApprovalState::Approved);
}

#[tokio::test]
async fn an_answer_may_be_changed_until_it_is_used_and_is_used_once() {
    let store = new_database().await;
    let subject = enrollment("amina");
    let asked = asks("b");
    store
        .ask_approvals(&subject, std::slice::from_ref(&asked), at(0))
        .await
        .unwrap();
    let denied = answer(&store, asked.id, NO, 1).await;
    assert_eq!(denied.state, ApprovalState::Denied);
    assert_eq!(denied.decided_at, Some(at(1)));
    let by = (denied.decided_by.as_deref(), denied.note.as_deref());
    assert_eq!(by, (Some("rosa"), Some("not hers")));
    let approved = answer(&store, asked.id, YES, 2).await;
    assert_eq!(approved.state, ApprovalState::Approved);
    assert_eq!(standing(&store, &subject, 3).await, [approved]);

    let identify = |n: u8, seconds| {
        let using = store.using(vec![asked.id], at(seconds));
        let facts = Identification {
            device: lanyard_store::DeviceFacts {
                udid: UDID.into(),
                serial: None,
                product: None,
                build: None,
                imei: None,
                meid: None,
            },
            attestation: json!("apple"),
            device_certificate: vec![0x30],
            settings: json!({}),
        };
        async move {
            let id = Uuid::from_u128(n.into());
            using.identify_session(id, 0, facts).await.unwrap()
        }
    };
    for n in [1, 2] {
        store.create_session(new_session(n)).await.unwrap();
    }
    let first = identify(1, 3).await;
    assert!(
        matches!(first, IdentifyOutcome::Identified { .. }),
        "{first:?}"
    );
    assert_eq!(identify(2, 4).await, IdentifyOutcome::ApprovalGone);
    let untouched = store
        .find_session(Uuid::from_u128(2))
        .await
        .unwrap()
        .unwrap();
    assert!(untouched.device.is_none());
    let used = store.find_approval(asked.id).await.unwrap().unwrap();
    assert_eq!(used.used_at, Some(at(3)));
    let over = store.answer_approval(asked.id, NO, at(5)).await.unwrap();
    assert_eq!(over, AnswerOutcome::Over(Box::new(used)));
    assert_eq!(standing(&store, &subject, 5).await, []);
    let unknown = store.answer_approval(Uuid::from_u128(9), YES, at(5)).await;
    assert_eq!(unknown.unwrap(), AnswerOutcome::Unknown);
}

#[tokio::test]
async fn what_nobody_uses_in_a_week_expires() {
    let store = new_database().await;
    let (subject, week) = (enrollment("amina"), APPROVAL_STANDS.as_secs());
    let asked = [asks("silent"), asks("approved"), asks("denied")];
    store.ask_approvals(&subject, &asked, at(0)).await.unwrap();
    answer(&store, asked[1].id, YES, 1).await;
    answer(&store, asked[2].id, NO, 1).await;
    assert_eq!(store.expire_approvals(at(week - 1), 10).await.unwrap(), 0);
    assert_eq!(standing(&store, &subject, week - 1).await.len(), 3);
    // Nobody has to have looked for it to be over.
    assert_eq!(standing(&store, &subject, week).await, []);
    let late = store.answer_approval(asked[0].id, YES, at(week)).await;
    assert!(matches!(late.unwrap(), AnswerOutcome::Over(_)));
    assert_eq!(store.expire_approvals(at(week), 10).await.unwrap(), 2);
    let mut listed = store
        .list_approvals(Some(ApprovalState::Expired), 10)
        .await
        .unwrap();
    listed.sort_by(|a, b| a.asked.binding.cmp(&b.asked.binding));
    let bindings: Vec<_> = listed
        .iter()
        .map(|each| each.asked.binding.as_str())
        .collect();
    assert_eq!(bindings, ["approved", "silent"]);
    assert_eq!(store.list_approvals(None, 10).await.unwrap().len(), 3);

    let quarter = week + 90 * 86_400 + 1;
    assert_eq!(store.expire_approvals(at(quarter), 2).await.unwrap(), 2);
    assert_eq!(store.expire_approvals(at(quarter), 2).await.unwrap(), 1);
    assert_eq!(store.list_approvals(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_session_lives_as_long_as_its_request_may_wait() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    defer(&store, 1, "csr-1", &[], 0).await;
    assert_eq!(session(&store).await.expires_at, at(600), "a hook failed");
    defer(&store, 1, "csr-1", &["b"], 10).await;
    let waits = session(&store).await;
    assert_eq!(waits.expires_at, at(10) + APPROVAL_STANDS);
    assert_eq!(waits.version, 0);
}

#[tokio::test]
async fn a_poll_finds_what_waits_and_what_came_of_it() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    let poll = |n, seconds| {
        let store = &store;
        async move {
            store
                .standing_answer(&key(n), None, at(seconds))
                .await
                .unwrap()
        }
    };
    assert_eq!(poll(1, 0).await, Standing::None);
    defer(&store, 1, "csr-1", &["b"], 0).await;
    let Standing::Waiting(waits) = poll(1, 1).await else {
        panic!("it does not wait");
    };
    assert_eq!(
        (waits.state, waits.created_at),
        (TransactionState::Pending, at(0))
    );
    assert_eq!(poll(2, 1).await, Standing::None, "another transaction");

    let name = key(1);
    let other = store.standing_answer(&name, Some(("csr-1", "challenge-2")), at(1));
    assert_eq!(other.await.unwrap(), Standing::None, "another challenge");

    let [asked] = &standing(&store, &certificate_of(1, "csr-1"), 1).await[..] else {
        panic!("no approval");
    };
    let using = store.using(vec![asked.asked.id], at(3));
    let too_soon = using.issue(&issuance(1), at(3)).await.unwrap();
    assert_eq!(too_soon, IssueOutcome::ApprovalGone);
    let nothing = store.find_certificate(&certificate(1).fingerprint).await;
    assert_eq!(nothing.unwrap(), None);
    // The answer may change between its being read and its being used.
    answer(&store, asked.asked.id, NO, 4).await;
    let denied = using.issue(&issuance(1), at(4)).await.unwrap();
    assert_eq!(denied, IssueOutcome::ApprovalGone);
    answer(&store, asked.asked.id, YES, 4).await;
    let issued = using.issue(&issuance(1), at(5)).await.unwrap();
    assert_eq!(issued, IssueOutcome::Issued);
    assert!(matches!(poll(1, 6).await, Standing::Issued(_)));
    assert_eq!(poll(1, 86_405).await, Standing::None, "a day later");
}

#[tokio::test]
async fn a_denied_request_stays_denied_for_an_hour_and_ends_what_waited() {
    let store = new_database().await;
    store.create_session(new_session(1)).await.unwrap();
    defer(&store, 1, "csr-1", &["one", "other"], 0).await;
    let waiting = standing(&store, &certificate_of(1, "csr-1"), 1).await;
    answer(&store, waiting[0].asked.id, NO, 1).await;
    let using = store.using(vec![waiting[0].asked.id], at(2));
    let name = key(1);
    let denied = using.deny_transaction(&name, "csr-1", "challenge-1", "not hers", at(2));
    denied.await.unwrap();
    let reason = "not hers".to_owned();
    let poll = store.standing_answer(&key(1), None, at(3)).await.unwrap();
    assert_eq!(poll, Standing::Denied { reason });
    let states: Vec<_> = store.list_approvals(None, 10).await.unwrap();
    let mut states: Vec<_> = states.iter().map(|each| each.state.as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, ["denied", "expired"]);

    assert_eq!(store.forget_transactions(at(3_601), 10).await.unwrap(), 0);
    assert_eq!(store.forget_transactions(at(3_603), 10).await.unwrap(), 1);
    assert_eq!(store.find_transaction(&key(1)).await.unwrap(), None);
    let again = defer(&store, 1, "csr-1", &["one"], 3_604).await;
    assert_eq!(again, DeferOutcome::ChallengeUsed);
}
