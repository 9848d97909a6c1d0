use std::collections::BTreeSet;

use lanyard_store::{
    CancelOutcome, CommandAnswer, CommandFilter, CommandPlace, CommandState, CommandStatus,
    EnqueueOutcome, EnrollmentState, PendingWork, Settled, Store,
};

use crate::database::{
    UDID, answer, at, authenticate, authenticate_row, command, enqueue, enroll, issuance,
    new_database, next, sent,
};
use lanyard_store::Occasion;

async fn settle(store: &Store, uuid: &str, status: CommandStatus, seconds: u64) -> Settled {
    let (result, error) = match status {
        CommandStatus::Error => (&b"<plist>failed</plist>"[..], Some("12021 unknown command")),
        _ => (&b"<plist>done</plist>"[..], None),
    };
    let answer = CommandAnswer {
        error,
        ..answer(uuid, status, result)
    };
    store.settle(UDID, answer, at(seconds)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_queue_in_one_order() {
    let database = new_database().await;
    enroll(&database, UDID, 1).await;
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let store = database.store.clone();
            tokio::spawn(async move {
                let uuid = format!("command-{n}");
                store.enqueue(command(UDID, &uuid), at(3)).await.unwrap()
            })
        })
        .collect();
    let mut places = BTreeSet::new();
    for task in tasks {
        match task.await.unwrap() {
            EnqueueOutcome::Queued { seq } => assert!(places.insert(seq)),
            other => panic!("{other:?}"),
        }
    }
    assert!(places.into_iter().eq(1..=32));

    let queue = database.queue_head(UDID, 5).await.unwrap();
    assert_eq!(queue.open, 32);
    let seqs: Vec<i64> = queue.head.iter().map(|command| command.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_cannot_be_delivered_is_not_queued() {
    let store = new_database().await;
    let unknown = store.enqueue(command("X", "a"), at(0)).await.unwrap();
    assert_eq!(unknown, EnqueueOutcome::UnknownEnrollment);

    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "a").await;
    let twice = store.enqueue(command(UDID, "a"), at(4)).await.unwrap();
    assert_eq!(twice, EnqueueOutcome::UuidTaken);
    let next = store.enqueue(command(UDID, "b"), at(4)).await.unwrap();
    assert_eq!(next, EnqueueOutcome::Queued { seq: 2 });
}

#[tokio::test]
async fn a_queue_may_begin_before_the_first_tokens() {
    let store = new_database().await;
    authenticate(&store, UDID, 1, Occasion::FreshEnrollment).await;
    enqueue(&store, UDID, "first").await;
    assert_eq!(store.push_due(UDID).await.unwrap(), None);
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_command_is_offered_until_it_is_answered() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "a").await;
    enqueue(&store, UDID, "b").await;

    let offered = store.next_command(UDID, false).await.unwrap().unwrap();
    assert_eq!(offered.summary.uuid, "a");
    assert_eq!(
        offered.payload.expose().as_slice(),
        command(UDID, "a").payload
    );
    assert!(offered.summary.bypass);
    store.note_sent(&[sent("a", 5)]).await.unwrap();
    let noted = store.find_command(UDID, "a").await.unwrap().unwrap();
    assert_eq!(noted.summary.state, CommandState::Sent);
    assert_eq!(next(&store, UDID, true).await.as_deref(), Some("a"));

    let recorded = settle(&store, "a", CommandStatus::Acknowledged, 6).await;
    assert_eq!(recorded, Settled::Recorded);
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("b"));
    store.note_sent(&[sent("a", 7)]).await.unwrap();
    let done = store.find_command(UDID, "a").await.unwrap().unwrap();
    assert_eq!(done.summary.state, CommandState::Acknowledged);
    assert_eq!(done.summary.sent_at, Some(at(5)));
    assert_eq!(done.summary.completed_at, Some(at(6)));
    assert_eq!(
        done.result.unwrap().expose().as_slice(),
        b"<plist>done</plist>"
    );
}

#[tokio::test]
async fn the_first_final_answer_stands() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "a").await;

    let first = settle(&store, "a", CommandStatus::Error, 5).await;
    assert_eq!(first, Settled::Recorded);
    for status in [
        CommandStatus::Error,
        CommandStatus::Acknowledged,
        CommandStatus::CommandFormatError,
        CommandStatus::NotNow,
    ] {
        assert_eq!(settle(&store, "a", status, 6).await, Settled::Duplicate);
    }
    let acknowledged = CommandStatus::Acknowledged;
    let unknown = settle(&store, "never-queued", acknowledged, 7).await;
    assert_eq!(unknown, Settled::Unknown);

    let command = store.find_command(UDID, "a").await.unwrap().unwrap();
    assert_eq!(command.summary.state, CommandState::Error);
    assert_eq!(command.summary.completed_at, Some(at(5)));
    let error = command.summary.error.as_deref();
    assert_eq!(error, Some("12021 unknown command"));
    assert_eq!(
        command.result.unwrap().expose().as_slice(),
        b"<plist>failed</plist>"
    );
    assert_eq!(command.summary.not_now_count, 0);
}

#[tokio::test]
async fn what_was_put_off_is_skipped_once_and_offered_again() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "a").await;
    enqueue(&store, UDID, "b").await;
    for seconds in [5, 6] {
        let outcome = settle(&store, "a", CommandStatus::NotNow, seconds).await;
        assert_eq!(outcome, Settled::Recorded);
    }

    assert_eq!(next(&store, UDID, true).await.as_deref(), Some("b"));
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("a"));
    let put_off = store.find_command(UDID, "a").await.unwrap().unwrap();
    assert_eq!(put_off.summary.state, CommandState::NotNow);
    assert_eq!(put_off.summary.not_now_at, Some(at(5)));
    assert_eq!(put_off.summary.not_now_count, 2);
    assert!(put_off.result.is_none());
    let work = store.pending_work(UDID).await.unwrap();
    let (ready, not_now) = (1, 1);
    assert_eq!(work, PendingWork { ready, not_now });

    settle(&store, "a", CommandStatus::Acknowledged, 8).await;
    settle(&store, "b", CommandStatus::CommandFormatError, 9).await;
    let work = store.pending_work(UDID).await.unwrap();
    assert_eq!(work, PendingWork::default());
    assert_eq!(next(&store, UDID, false).await, None);
}

#[tokio::test]
async fn who_speaks_and_what_waits_is_known_at_once() {
    let store = new_database().await;
    assert!(store.caller("00").await.unwrap().is_none());
    store.issue(&issuance(1), at(0)).await.unwrap();
    let identity = issuance(1).certificate.fingerprint;
    let stranger = store.caller(&identity).await.unwrap().unwrap();
    assert_eq!(stranger.identity.fingerprint, identity);
    assert!(stranger.device.is_none() && stranger.next.is_none());

    let row = authenticate_row(UDID, 1);
    let fresh = Occasion::FreshEnrollment;
    store.authenticate(row, fresh, at(1)).await.unwrap();
    for uuid in ["a", "b"] {
        store.enqueue(command(UDID, uuid), at(2)).await.unwrap();
    }
    settle(&store, "a", CommandStatus::Acknowledged, 5).await;
    let caller = store.caller(&identity).await.unwrap().unwrap();
    assert_eq!(caller.identity.device_id.as_deref(), Some(UDID));
    let device = caller.device.unwrap();
    assert_eq!(device.state, EnrollmentState::Pending);
    assert_eq!(device.certificate, Some(identity.clone()));
    let waiting = caller.next.unwrap();
    assert_eq!(waiting.summary.uuid, "b");
    let queued = command(UDID, "b");
    assert_eq!(waiting.payload.expose().as_slice(), queued.payload);

    settle(&store, "b", CommandStatus::NotNow, 6).await;
    let caller = store.caller(&identity).await.unwrap().unwrap();
    assert_eq!(
        caller.next.unwrap().summary.uuid,
        "b",
        "it is offered again"
    );
    settle(&store, "b", CommandStatus::Error, 7).await;
    let caller = store.caller(&identity).await.unwrap().unwrap();
    assert!(caller.next.is_none());
}

#[tokio::test]
async fn an_answer_says_when_its_command_was_sent_and_a_late_note_changes_nothing() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    for (uuid, status) in [
        ("a", CommandStatus::Acknowledged),
        ("b", CommandStatus::NotNow),
    ] {
        enqueue(&store, UDID, uuid).await;
        let answer = CommandAnswer {
            sent_at: Some(at(5)),
            ..answer(uuid, status, b"")
        };
        let settled = store.settle(UDID, answer, at(6)).await.unwrap();
        assert_eq!(settled, Settled::Recorded);
        let before = store.find_command(UDID, uuid).await.unwrap().unwrap();
        assert_eq!(before.summary.sent_at, Some(at(5)));
        store.note_sent(&[sent(uuid, 5)]).await.unwrap();
        let after = store.find_command(UDID, uuid).await.unwrap().unwrap();
        assert_eq!(after.summary, before.summary);
    }
}

#[tokio::test]
async fn what_was_on_its_way_when_it_was_cancelled_ends_as_the_device_says() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enqueue(&store, UDID, "a").await;
    let cancelled = store.cancel_command(UDID, "a", at(4)).await.unwrap();
    assert_eq!(cancelled, CancelOutcome::Cancelled);
    let put_off = settle(&store, "a", CommandStatus::NotNow, 5).await;
    assert_eq!(put_off, Settled::Duplicate, "it is not offered again");
    let done = settle(&store, "a", CommandStatus::Acknowledged, 5).await;
    assert_eq!(done, Settled::Recorded);
    let known = store.find_command(UDID, "a").await.unwrap().unwrap();
    assert_eq!(known.summary.state, CommandState::Acknowledged);
    assert!(known.result.is_some());
    let again = settle(&store, "a", CommandStatus::Error, 6).await;
    assert_eq!(again, Settled::Duplicate);
}

#[tokio::test]
async fn only_what_the_device_does_not_have_is_cancelled() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    for uuid in ["queued", "sent", "put-off"] {
        enqueue(&store, UDID, uuid).await;
    }
    store.note_sent(&[sent("sent", 5)]).await.unwrap();
    settle(&store, "put-off", CommandStatus::NotNow, 5).await;

    let state = CommandState::Sent;
    for (uuid, expected) in [
        ("queued", CancelOutcome::Cancelled),
        ("put-off", CancelOutcome::Cancelled),
        ("queued", CancelOutcome::AlreadyCancelled),
        ("sent", CancelOutcome::AlreadyDelivered { state }),
        ("never-queued", CancelOutcome::Unknown),
    ] {
        let outcome = store.cancel_command(UDID, uuid, at(6)).await.unwrap();
        assert_eq!(outcome, expected, "{uuid}");
    }
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("sent"));
}

#[tokio::test]
async fn history_is_listed_newest_first_and_found_by_uuid() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    enroll(&store, "OTHER", 2).await;
    for uuid in ["a", "b", "c"] {
        enqueue(&store, UDID, uuid).await;
    }
    enqueue(&store, "OTHER", "a").await;
    settle(&store, "b", CommandStatus::Acknowledged, 5).await;

    let page = store.list_commands(UDID, None, 2).await.unwrap();
    let uuids: Vec<&str> = page.iter().map(|command| command.uuid.as_str()).collect();
    assert_eq!(uuids, ["c", "b"]);
    let page = store
        .list_commands(UDID, Some(page[1].seq), 2)
        .await
        .unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].uuid, "a");
    let found = store.find_commands_by_uuid("a").await.unwrap();
    let ids: Vec<&str> = found
        .iter()
        .map(|found| found.enrollment_id.as_str())
        .collect();
    assert_eq!(ids, [UDID, "OTHER"]);
}

#[tokio::test]
async fn the_commands_of_all_devices_are_listed_newest_first_page_by_page() {
    let store = new_database().await;
    let devices = ["device-1", "device-2"];
    for (n, device) in (1..).zip(devices) {
        enroll(&store, device, n).await;
    }
    // Of each second, one for each device; and one more under a UUID that both have.
    for second in 10..13 {
        for device in devices {
            let uuid = format!("{device} at {second}");
            store
                .enqueue(command(device, &uuid), at(second))
                .await
                .unwrap();
            store
                .enqueue(command(device, "same"), at(second))
                .await
                .unwrap();
        }
    }
    let list = async |filter: CommandFilter<'_>, limit| {
        store.list_all_commands(filter, limit).await.unwrap()
    };
    let all = list(CommandFilter::default(), 100).await;
    assert_eq!(all.len(), 8, "`same` was queued once for each");
    assert!(all.is_sorted_by(|one, next| one.created_at >= next.created_at));
    for limit in 1..=9 {
        let (mut pages, mut place) = (Vec::new(), None);
        loop {
            let after = place.as_ref();
            let filter = CommandFilter {
                after,
                ..CommandFilter::default()
            };
            let page = list(filter, limit).await;
            let Some(last) = page.last() else { break };
            // As it travels.
            let text = CommandPlace::of(last).to_string();
            place = Some(text.parse::<CommandPlace>().unwrap());
            pages.extend(page);
        }
        assert_eq!(pages, all, "{limit} at a time");
    }

    store
        .cancel_command("device-1", "same", at(20))
        .await
        .unwrap();
    let filter = CommandFilter {
        enrollment_id: Some("device-1"),
        ..CommandFilter::default()
    };
    let of_one = list(filter, 100).await;
    assert!(of_one.len() == 4 && of_one.iter().all(|each| each.enrollment_id == "device-1"));
    let state = Some(CommandState::Cancelled);
    let cancelled = list(CommandFilter { state, ..filter }, 100).await;
    assert_eq!(cancelled.len(), 1);
    assert_eq!(cancelled[0].uuid, "same");
    for wrong in ["", "1", "1:2", "x:1:2"] {
        let refused = wrong.parse::<CommandPlace>().unwrap_err();
        assert!(refused.to_string().contains("`next`"), "{refused}");
    }
}
