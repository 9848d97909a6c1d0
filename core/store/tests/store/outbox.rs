use lanyard_store::{IssueOutcome, NewEvent, PushRecorded, ScheduleOutcome, Store};
use serde_json::json;
use uuid::Uuid;

use crate::database::{UDID, at, enqueue, enroll, issuance, new_database, tokens};

/// The one push that is due, as (generation, attempts).
async fn due(store: &Store, seconds: u64) -> Option<(i64, i32)> {
    let due = store.due_pushes(at(seconds), 10).await.unwrap();
    assert!(due.len() <= 1);
    due.first().map(|push| (push.generation, push.attempts))
}

#[tokio::test]
async fn tokens_and_commands_each_ask_for_a_push() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let (first, _) = due(&store, 2).await.unwrap();
    assert_eq!(due(&store, 1).await, None);
    enqueue(&store, UDID, "a").await;
    let (second, _) = due(&store, 3).await.unwrap();
    assert!(second > first);

    let pushes = store.due_pushes(at(3), 10).await.unwrap();
    // The earlier request stands: a device that waits does not wait longer because more was asked for.
    assert_eq!(pushes[0].due_at, at(2));
    let target = pushes[0].target.as_ref().unwrap();
    assert_eq!(target.token.expose().as_slice(), tokens(UDID).token);
}

#[tokio::test]
async fn a_finished_push_does_not_swallow_a_newer_one() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let (under_way, _) = due(&store, 2).await.unwrap();
    enqueue(&store, UDID, "a").await;

    let late = store.pushed(UDID, under_way, "200", at(4)).await.unwrap();
    assert_eq!(late, PushRecorded::Superseded);
    let (newer, _) = due(&store, 4).await.unwrap();
    let done = store.pushed(UDID, newer, "200", at(5)).await.unwrap();
    assert_eq!(done, PushRecorded::Recorded);
    assert_eq!(due(&store, 1_000).await, None);

    let enrollment = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(enrollment.last_push_at, Some(at(5)));
    assert_eq!(enrollment.last_push_result.as_deref(), Some("200"));

    // A generation never comes back, so a worker that was slow for long finishes nothing either.
    enqueue(&store, UDID, "b").await;
    let late = store.pushed(UDID, newer, "200", at(6)).await.unwrap();
    assert_eq!(late, PushRecorded::Superseded);
    assert!(due(&store, 6).await.is_some());
}

#[tokio::test]
async fn a_failed_push_is_due_again_later() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let push = store.due_pushes(at(2), 1).await.unwrap().remove(0);
    let error = "503 Shutdown";
    let again = store.retry_push_at(&push, at(60), error, at(3)).await;
    assert_eq!(again.unwrap(), PushRecorded::Recorded);
    assert_eq!(due(&store, 59).await, None);
    assert_eq!(due(&store, 60).await, Some((push.generation, 1)));

    // A command does not wait for the next attempt, and a worker's old news does not delay it.
    enqueue(&store, UDID, "a").await;
    assert!(matches!(due(&store, 3).await, Some((_, 0))));
    let stale = store.retry_push_at(&push, at(600), error, at(4)).await;
    assert_eq!(stale.unwrap(), PushRecorded::Superseded);
    assert!(due(&store, 4).await.is_some());
}

#[tokio::test]
async fn a_push_can_be_scheduled_for_whom_it_can_reach() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let (generation, _) = due(&store, 2).await.unwrap();
    store.pushed(UDID, generation, "200", at(3)).await.unwrap();

    let scheduled = store.schedule_push(UDID, at(30)).await.unwrap();
    assert_eq!(scheduled, ScheduleOutcome::Scheduled);
    assert_eq!(due(&store, 29).await, None);
    assert!(due(&store, 30).await.is_some());
    let unknown = store.schedule_push("X", at(30)).await.unwrap();
    assert_eq!(unknown, ScheduleOutcome::UnknownEnrollment);
    store.check_out(UDID, None, at(31)).await.unwrap();
    let gone = store.schedule_push(UDID, at(40)).await.unwrap();
    assert_eq!(gone, ScheduleOutcome::NotReachable);
    assert_eq!(due(&store, 1_000).await, None);
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
