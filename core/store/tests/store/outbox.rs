use lanyard_store::{
    CommandStatus, DuePush, IssueOutcome, NewEvent, NextPush, PushOutcome, ScheduleOutcome, Store,
    TokenUpdate,
};
use serde_json::json;
use uuid::Uuid;

use crate::database::{UDID, answer, at, enqueue, enroll, issuance, new_database, tokens};

/// Whether the push is due by then.
async fn is_due(store: &Store, seconds: u64) -> bool {
    let due = store.push_due(UDID).await.unwrap();
    due.is_some_and(|due| due <= at(seconds))
}

/// Takes what is due, for so many seconds; requests meanwhile wait for none.
async fn take_all(store: &Store, seconds: u64, for_seconds: u64) -> Vec<DuePush> {
    let (now, until) = (at(seconds), at(seconds + for_seconds));
    store.take_pushes(now, until, now, 100).await.unwrap()
}

/// Takes the one push that is due, for a minute.
async fn take(store: &Store, seconds: u64) -> DuePush {
    let mut taken = take_all(store, seconds, 60).await;
    assert_eq!(taken.len(), 1);
    taken.remove(0)
}

fn outcome(push: &DuePush, result: &str, next: NextPush) -> PushOutcome {
    PushOutcome {
        enrollment_id: push.enrollment_id.clone(),
        generation: push.generation,
        result: Some(result.to_owned()),
        next,
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
        tokio::spawn(async move { store.take_pushes(at(2), at(62), at(2), 10).await.unwrap() })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.extend(taker.await.unwrap());
    }
    let mut ids: Vec<_> = taken.iter().map(|push| &push.enrollment_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((taken.len(), ids.len()), (40, 40), "each by one taker");
    let none = take_all(&store, 61, 60).await;
    assert!(none.is_empty());
    let taken = take_all(&store, 62, 60).await;
    assert_eq!(taken.len(), 40);

    let outcomes: Vec<_> = (taken.iter().zip(0_u64..))
        .map(|(push, n)| {
            let again = NextPush::Again(at(90));
            outcome(
                push,
                "200",
                if n % 2 == 0 { again } else { NextPush::Nothing },
            )
        })
        .collect();
    assert_eq!(store.record_pushes(&outcomes, at(3)).await.unwrap(), 40);
    let none = take_all(&store, 89, 60).await;
    assert!(none.is_empty());
    let again = take_all(&store, 90, 60).await;
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

    let late = [outcome(&under_way, "200", NextPush::Nothing)];
    assert_eq!(store.record_pushes(&late, at(4)).await.unwrap(), 0);
    let newer = take(&store, 4).await;
    let done = [outcome(&newer, "200", NextPush::Nothing)];
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
    let again = [outcome(&push, "503 Shutdown", NextPush::Again(at(70)))];
    assert_eq!(store.record_pushes(&again, at(3)).await.unwrap(), 1);
    assert!(!is_due(&store, 69).await);
    let second = take(&store, 70).await;
    assert_eq!((second.generation, second.attempts), (push.generation, 1));

    // A command does not wait for the next attempt, and a worker's old news does not delay it.
    enqueue(&store, UDID, "a").await;
    let stale = [outcome(&push, "503 Shutdown", NextPush::Again(at(600)))];
    assert_eq!(store.record_pushes(&stale, at(71)).await.unwrap(), 0);
    assert_eq!(take(&store, 71).await.attempts, 0);
}

#[tokio::test]
async fn a_push_can_be_scheduled_for_whom_it_can_reach() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let done = [outcome(&take(&store, 2).await, "200", NextPush::Nothing)];
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
async fn requests_gather_until_the_quiet_after_a_push_is_over() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let taken = store.take_pushes(at(2), at(62), at(5), 10).await.unwrap();
    for uuid in ["a", "b"] {
        enqueue(&store, UDID, uuid).await;
    }
    assert!(!is_due(&store, 4).await);
    assert_eq!(take_all(&store, 5, 60).await.len(), 1);
    let late = [outcome(&taken[0], "accepted", NextPush::Nothing)];
    assert_eq!(store.record_pushes(&late, at(6)).await.unwrap(), 0);
}

#[tokio::test]
async fn patience_that_apns_asked_for_outlasts_a_command_and_a_put_off_push_does_not() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let push = take(&store, 2).await;
    let put_off = [outcome(&push, "no connection", NextPush::PutOff(at(90)))];
    store.record_pushes(&put_off, at(3)).await.unwrap();
    enqueue(&store, UDID, "a").await;
    let push = take(&store, 3).await;
    assert_eq!(push.attempts, 0, "one that was not tried does not count");
    let patience = NextPush::Again(at(100));
    let too_many = [outcome(&push, "429 TooManyRequests", patience)];
    store.record_pushes(&too_many, at(4)).await.unwrap();
    enqueue(&store, UDID, "b").await;
    assert!(!is_due(&store, 99).await);
    assert!(is_due(&store, 100).await);
}

#[tokio::test]
async fn a_reminder_is_due_while_there_is_something_to_do() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let accepted = |push: &DuePush, then| [outcome(push, "accepted", NextPush::Reminder(at(then)))];
    let idle = take(&store, 2).await;
    let nothing_to_do = accepted(&idle, 50);
    store.record_pushes(&nothing_to_do, at(3)).await.unwrap();
    assert!(!is_due(&store, 1_000).await);

    enqueue(&store, UDID, "a").await;
    let first = take(&store, 4).await;
    store
        .record_pushes(&accepted(&first, 50), at(5))
        .await
        .unwrap();
    assert!(!is_due(&store, 49).await);
    let second = take(&store, 50).await;
    assert_eq!((first.reminders, second.reminders), (0, 1));
    assert!(second.target.is_some());
    store
        .record_pushes(&accepted(&second, 90), at(51))
        .await
        .unwrap();

    let done = answer("a", CommandStatus::Acknowledged, b"");
    store.settle(UDID, done, at(60)).await.unwrap();
    let third = take(&store, 90).await;
    assert_eq!((third.reminders, third.target.is_some()), (2, false));

    // What is queued later begins from the start.
    enqueue(&store, UDID, "b").await;
    assert_eq!(take(&store, 91).await.reminders, 0);
}

#[tokio::test]
async fn a_dead_token_gets_no_push_until_the_device_sends_another() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let push = take(&store, 2).await;
    assert_eq!(push.target.as_ref().unwrap().received_at, at(2));
    let dead = [outcome(&push, "410 Unregistered", NextPush::TokenDead)];
    store.record_pushes(&dead, at(3)).await.unwrap();
    let enrollment = store.find_enrollment(UDID).await.unwrap().unwrap();
    assert_eq!(enrollment.token_dead_at, Some(at(3)));
    enqueue(&store, UDID, "a").await;
    assert!(take(&store, 4).await.target.is_none());

    store.try_token_again(UDID).await.unwrap();
    assert!(store.push_target(UDID).await.unwrap().is_some());

    // A token that came while APNs answered is not the one that it called dead.
    store.schedule_push(UDID, at(5)).await.unwrap();
    let push = take(&store, 5).await;
    let update = TokenUpdate {
        token: b"another token",
        ..tokens(UDID)
    };
    store.token_update(update, at(6)).await.unwrap();
    let dead = [outcome(&push, "410 Unregistered", NextPush::TokenDead)];
    assert_eq!(store.record_pushes(&dead, at(7)).await.unwrap(), 0);
    let target = take(&store, 8).await.target.unwrap();
    assert_eq!(target.token.expose().as_slice(), b"another token");
    assert_eq!(target.received_at, at(6));
}

#[tokio::test]
async fn what_waits_for_a_topic_can_be_hastened() {
    let store = new_database().await;
    for (n, id) in (1..).zip(["failed", "reminded"]) {
        enroll(&store, id, n).await;
        enqueue(&store, id, "a").await;
    }
    let taken = take_all(&store, 3, 60).await;
    let outcomes = taken.iter().map(|push| match push.enrollment_id.as_str() {
        "failed" => outcome(push, "503", NextPush::Again(at(900))),
        _ => outcome(push, "accepted", NextPush::Reminder(at(900))),
    });
    let outcomes: Vec<_> = outcomes.collect();
    store.record_pushes(&outcomes, at(4)).await.unwrap();
    let other = "com.apple.mgmt.External.2";
    assert_eq!(store.hasten_pushes(other, at(5)).await.unwrap(), 0);
    assert_eq!(store.next_push_due().await.unwrap(), Some(at(900)));
    let topic = "com.apple.mgmt.External.1";
    assert_eq!(store.hasten_pushes(topic, at(5)).await.unwrap(), 1);
    assert_eq!(store.next_push_due().await.unwrap(), Some(at(5)));
    assert_eq!(take(&store, 5).await.enrollment_id, "failed");
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
