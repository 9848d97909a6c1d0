use std::collections::BTreeMap;

use lanyard_store::{
    BatchCommand, CheckOutOutcome, CommandState, CommandStatus, EnqueueOutcome, NewBatch,
    NewCommand, Occasion, Store,
};

use crate::database::{
    UDID, answer, at, authenticate, command, enqueue, enroll, new_database, next,
};

/// The same for each device but for its payload.
fn commands<'a>(
    uuid: &str,
    devices: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<String, BatchCommand> {
    let command = |device: &str| BatchCommand {
        uuid: uuid.to_owned(),
        payload: format!("<plist>{uuid} for {device}</plist>")
            .into_bytes()
            .into(),
    };
    let each = devices.into_iter();
    each.map(|device| (device.to_owned(), command(device)))
        .collect()
}

async fn enqueue_batch(
    store: &Store,
    each: &BTreeMap<String, BatchCommand>,
    seconds: u64,
) -> Vec<EnqueueOutcome> {
    let batch = NewBatch {
        request_type: "ProfileList",
        origin: "operator",
        bypass: false,
        each,
    };
    store.enqueue_batch(batch, at(seconds)).await.unwrap()
}

#[tokio::test]
async fn each_device_is_told_about_by_itself_and_a_batch_again_changes_nothing() {
    let store = new_database().await;
    for (n, device) in ["A", "B", "C", "GONE"].into_iter().enumerate() {
        enroll(&store, device, n as u32 + 1).await;
    }
    authenticate(&store, "NEW", 9, Occasion::FreshEnrollment).await;
    let gone = store.check_out("GONE", None, at(3)).await.unwrap();
    assert_eq!(gone, CheckOutOutcome::CheckedOut);
    enqueue(&store, "B", "before").await;
    let devices = ["A", "B", "C", "GONE", "NEW", "NOBODY"];
    let first = [
        EnqueueOutcome::Queued { seq: 1 },
        EnqueueOutcome::Queued { seq: 2 },
        EnqueueOutcome::Queued { seq: 1 },
        EnqueueOutcome::CheckedOut,
        EnqueueOutcome::Queued { seq: 1 },
        EnqueueOutcome::UnknownEnrollment,
    ];
    let each = commands("batch", devices);
    assert_eq!(enqueue_batch(&store, &each, 10).await, first);
    assert_eq!(
        store.push_due("A").await.unwrap(),
        Some(at(2)),
        "still the one of the tokens"
    );
    assert_eq!(store.push_due("NEW").await.unwrap(), None);
    assert_eq!(store.push_due("GONE").await.unwrap(), None);
    let queued = store.find_command("C", "batch").await.unwrap().unwrap();
    assert_eq!(
        queued.payload.expose().as_slice(),
        b"<plist>batch for C</plist>"
    );
    assert_eq!(queued.summary.state, CommandState::Queued);
    assert_eq!(queued.summary.created_at, at(10));
    assert_eq!(queued.summary.request_type, "ProfileList");
    assert_eq!(next(&store, "B", false).await.as_deref(), Some("before"));

    let again = enqueue_batch(&store, &each, 20).await;
    let expected = first.map(|outcome| match outcome {
        EnqueueOutcome::Queued { .. } => EnqueueOutcome::UuidTaken,
        refused => refused,
    });
    assert_eq!(again, expected);
    assert_eq!(store.queue_head("A", 9).await.unwrap().open, 1);
    let more = enqueue_batch(&store, &commands("another", devices), 30).await;
    assert_eq!(more[0], EnqueueOutcome::Queued { seq: 2 });
    assert_eq!(more[1], EnqueueOutcome::Queued { seq: 3 });
    assert!(enqueue_batch(&store, &BTreeMap::new(), 40).await.is_empty());
}

#[tokio::test]
async fn a_batch_wakes_whom_it_is_for() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let (now, until) = (at(5), at(9));
    assert_eq!(
        store.take_pushes(now, until, now, 10).await.unwrap().len(),
        1
    );
    let queued = enqueue_batch(&store, &commands("batch", [UDID]), 6).await;
    assert_eq!(queued, [EnqueueOutcome::Queued { seq: 1 }]);
    let due = store.take_pushes(at(6), until, at(6), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert!(due[0].target.is_some());
    assert_eq!(due[0].generation, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_at_once_wait_for_each_other_and_not_in_a_circle() {
    const DEVICES: [&str; 5] = ["b-2", "B-1", "a", "A:user", "A"];
    let database = new_database().await;
    for (n, device) in DEVICES.into_iter().enumerate() {
        enroll(&database, device, n as u32 + 1).await;
    }
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let store = database.store.clone();
            tokio::spawn(async move {
                if n % 3 == 0 {
                    enqueue(&store, DEVICES[n % 5], &format!("single-{n}")).await;
                } else {
                    let each = commands(&format!("batch-{n}"), DEVICES);
                    let outcomes = enqueue_batch(&store, &each, 4).await;
                    let queued = |each: &_| matches!(each, EnqueueOutcome::Queued { .. });
                    assert!(outcomes.iter().all(queued), "{outcomes:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut open = 0;
    for device in DEVICES {
        let queue = database.queue_head(device, 100).await.unwrap();
        let places = queue.head.iter().map(|command| command.seq);
        assert!(places.eq(1..=queue.open as i64), "{device}: {queue:?}");
        open += queue.open;
    }
    assert_eq!(open, 16 * 5 + 8);
}

#[tokio::test]
async fn all_devices_are_those_that_have_not_checked_out() {
    let store = new_database().await;
    for (n, device) in ["A", "B", "C"].into_iter().enumerate() {
        enroll(&store, device, n as u32 + 1).await;
    }
    store.check_out("B", None, at(3)).await.unwrap();
    authenticate(&store, "D", 9, Occasion::FreshEnrollment).await;
    let first = store.managed_devices(None, 2).await.unwrap();
    assert_eq!(first, ["A", "C"]);
    let rest = store.managed_devices(Some("C"), 2).await.unwrap();
    assert_eq!(rest, ["D"]);
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten_and_what_is_open_never() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    for uuid in ["open", "put-off", "done-1", "done-2", "cancelled", "later"] {
        enqueue(&store, UDID, uuid).await;
    }
    for (uuid, status, seconds) in [
        ("put-off", CommandStatus::NotNow, 4),
        ("done-1", CommandStatus::Acknowledged, 5),
        ("done-2", CommandStatus::Error, 6),
        ("later", CommandStatus::Acknowledged, 50),
    ] {
        let answer = answer(uuid, status, b"<plist/>");
        store.settle(UDID, answer, at(seconds)).await.unwrap();
    }
    store
        .cancel_command(UDID, "cancelled", at(7))
        .await
        .unwrap();

    assert_eq!(store.forget_commands(at(5), 10).await.unwrap(), 0);
    assert_eq!(store.forget_commands(at(50), 2).await.unwrap(), 2);
    let first = store.find_command(UDID, "done-1").await.unwrap();
    assert!(first.is_none(), "what ended first is forgotten first");
    assert_eq!(store.forget_commands(at(50), 2).await.unwrap(), 1);
    assert_eq!(store.forget_commands(at(50), 2).await.unwrap(), 0);
    let kept = store.list_commands(UDID, None, 10).await.unwrap();
    let kept: Vec<&str> = kept.iter().map(|command| command.uuid.as_str()).collect();
    assert_eq!(kept, ["later", "put-off", "open"]);
    // Years later, too.
    assert_eq!(
        store.forget_commands(at(1_000_000_000), 10).await.unwrap(),
        1
    );
    assert_eq!(store.queue_head(UDID, 10).await.unwrap().open, 2);
}

#[tokio::test]
async fn what_a_plugin_wished_for_is_the_same_wish_when_its_command_is_forgotten() {
    let store = new_database().await;
    enroll(&store, UDID, 1).await;
    let wish = NewCommand {
        decision: Some("decision"),
        ..command(UDID, "wish")
    };
    let queued = store.enqueue(wish, at(3)).await.unwrap();
    assert_eq!(queued, EnqueueOutcome::Queued { seq: 1 });
    enqueue(&store, UDID, "sent").await;
    for uuid in ["wish", "sent"] {
        let answer = answer(uuid, CommandStatus::Acknowledged, b"<plist/>");
        store.settle(UDID, answer, at(4)).await.unwrap();
    }
    assert_eq!(store.forget_commands(at(5), 10).await.unwrap(), 2);
    assert!(
        store
            .list_commands(UDID, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.was_wished(UDID, "wish").await.unwrap());
    assert!(!store.was_wished(UDID, "sent").await.unwrap());
    let again = store.enqueue(wish, at(6)).await.unwrap();
    assert_eq!(again, EnqueueOutcome::UuidTaken);
    let operator = store.enqueue(command(UDID, "sent"), at(6)).await.unwrap();
    assert_eq!(operator, EnqueueOutcome::Queued { seq: 3 });
}
