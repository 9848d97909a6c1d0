use lanyard_store::{DuePush, IssueOutcome, NewEvent, PushOutcome, ScheduleOutcome, Store};
use serde_json::json;
use uuid::Uuid;

use crate::database::{UDID, at, enqueue, enroll, issuance, new_database, tokens};

/// Whether the push is due by then.
async fn is_due(store: &Store, seconds: u64) -> bool {
    let due = store.push_due(UDID).await.unwrap();
    due.is_some_and(|due| due <= at(seconds))
}

/// Takes the one push that is due, for a minute.
async fn take(store: &Store, seconds: u64) -> DuePush {
    let (now, until) = (at(seconds), at(seconds + 60));
    let mut taken = store.take_pushes(now, until, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    taken.remove(0)
}

fn outcome(push: &DuePush, result: &str, again: Option<u64>) -> PushOutcome {
    PushOutcome {
        enrollment_id: push.enrollment_id.clone(),
        generation: push.generation,
        result: result.to_owned(),
        again: again.map(at),
    }
}

#[tokio::test]
async fn tokens_and_commands_each_ask_for_a_push() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    assert!(!is_due(&store, 1).await);
    // The earlier request stands: a device that waits does not wait longer because more was asked for.
    enqueue(&store, UDID, "a").await;
    let push = take(&store, 2).await;
    assert_eq!(push.generation, 2);
    let target = push.target.as_ref().unwrap();
    assert_eq!(target.token.expose().as_slice(), tokens(UDID).token);
}

#[tokio::test]
async fn a_push_that_is_taken_is_due_again_when_its_taker_says_nothing() {
    let store = new_database().await;
    for n in 1..=40 {
        enroll(&store, &format!("device-{n}"), n).await;
    }
    let takers = (0..4).map(|_| {
        let store = store.store.clone();
        tokio::spawn(async move { store.take_pushes(at(2), at(62), 10).await.unwrap() })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.extend(taker.await.unwrap());
    }
    let mut ids: Vec<_> = taken.iter().map(|push| &push.enrollment_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((taken.len(), ids.len()), (40, 40), "each by one taker");
    let none = store.take_pushes(at(61), at(121), 100).await.unwrap();
    assert!(none.is_empty());
    let taken = store.take_pushes(at(62), at(122), 100).await.unwrap();
    assert_eq!(taken.len(), 40);

    let outcomes: Vec<_> = (taken.iter().zip(0_u64..))
        .map(|(push, n)| outcome(push, "200", (n % 2 == 0).then_some(90)))
        .collect();
    assert_eq!(store.record_pushes(&outcomes, at(3)).await.unwrap(), 40);
    let none = store.take_pushes(at(89), at(149), 100).await.unwrap();
    assert!(none.is_empty());
    let again = store.take_pushes(at(90), at(150), 100).await.unwrap();
    assert_eq!(again.len(), 20);
}

#[tokio::test]
async fn a_finished_push_does_not_swallow_a_newer_one() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let under_way = take(&store, 2).await;
    assert!(!is_due(&store, 4).await);
    enqueue(&store, UDID, "a").await;
    assert!(is_due(&store, 4).await);

    let late = [outcome(&under_way, "200", None)];
    assert_eq!(store.record_pushes(&late, at(4)).await.unwrap(), 0);
    let newer = take(&store, 4).await;
    let done = [outcome(&newer, "200", None)];
    assert_eq!(store.record_pushes(&done, at(5)).await.unwrap(), 1);
    assert!(!is_due(&store, 1_000).await);

    let enrollment = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(enrollment.last_push_at, Some(at(5)));
    assert_eq!(enrollment.last_push_result.as_deref(), Some("200"));

    // A generation never comes back, so a worker that was slow for long finishes nothing either.
    enqueue(&store, UDID, "b").await;
    assert_eq!(store.record_pushes(&done, at(6)).await.unwrap(), 0);
    assert!(is_due(&store, 6).await);
}

#[tokio::test]
async fn a_failed_push_is_due_again_later() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let push = take(&store, 2).await;
    assert_eq!(push.attempts, 0);
    let again = [outcome(&push, "503 Shutdown", Some(70))];
    assert_eq!(store.record_pushes(&again, at(3)).await.unwrap(), 1);
    assert!(!is_due(&store, 69).await);
    let second = take(&store, 70).await;
    assert_eq!((second.generation, second.attempts), (push.generation, 1));

    // A command does not wait for the next attempt, and a worker's old news does not delay it.
    enqueue(&store, UDID, "a").await;
    let stale = [outcome(&push, "503 Shutdown", Some(600))];
    assert_eq!(store.record_pushes(&stale, at(71)).await.unwrap(), 0);
    assert_eq!(take(&store, 71).await.attempts, 0);
}

#[tokio::test]
async fn a_push_can_be_scheduled_for_whom_it_can_reach() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let done = [outcome(&take(&store, 2).await, "200", None)];
    store.record_pushes(&done, at(3)).await.unwrap();

    let scheduled = store.schedule_push(UDID, at(30)).await.unwrap();
    assert_eq!(scheduled, ScheduleOutcome::Scheduled);
    assert!(!is_due(&store, 29).await);
    assert!(is_due(&store, 30).await);
    let unknown = store.schedule_push("X", at(30)).await.unwrap();
    assert_eq!(unknown, ScheduleOutcome::UnknownEnrollment);
    store.check_out(UDID, None, at(31)).await.unwrap();
    let gone = store.schedule_push(UDID, at(40)).await.unwrap();
    assert_eq!(gone, ScheduleOutcome::NotReachable);
    assert!(!is_due(&store, 1_000).await);
}

#[tokio::test]
async fn an_event_is_kept_with_what_happened_until_it_is_heard() {
    let store = new_database().await;
    let event = |n: u128| NewEvent {
        id: Uuid::from_u128(n),
        bindings: vec!["audit".into(), "rules".into()],
        payload: json!({ "n": n.to_string() }),
    };
    let used = store.noting(event(1)).issue(&issuance(1), at(0)).await;
    assert_eq!(used.unwrap(), IssueOutcome::Issued);
    // Nothing happens a second time, so there is nothing to hear.
    store
        .noting(event(2))
        .issue(&issuance(1), at(1))
        .await
        .unwrap();

    assert_eq!(store.bindings_due(at(1)).await.unwrap(), ["audit", "rules"]);
    let audit = store.due_events("audit", at(1), 10).await.unwrap();
    let rules = store.due_events("rules", at(1), 10).await.unwrap();
    let id = Uuid::from_u128(1);
    for due in [&audit, &rules] {
        assert_eq!((due.len(), due[0].id), (1, id));
        assert_eq!(due[0].payload, json!({ "n": "1" }));
    }

    store.event_heard(&audit[0]).await.unwrap();
    store
        .event_not_heard(&rules[0], Some(at(60)), "trapped")
        .await
        .unwrap();
    assert!(store.bindings_due(at(59)).await.unwrap().is_empty());
    assert_eq!(store.due_events("rules", at(59), 10).await.unwrap(), []);
    assert_eq!(store.bindings_due(at(60)).await.unwrap(), ["rules"]);
    let again = store.due_events("rules", at(60), 10).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    store
        .event_not_heard(&again[0], None, "trapped")
        .await
        .unwrap();
    assert!(store.bindings_due(at(9_999)).await.unwrap().is_empty());
}
