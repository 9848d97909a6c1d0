//! Two nodes on one database.

use lanyard_pki::seal::SealingKey;
use lanyard_store::{
    CheckOutOutcome, CommandStatus, DuePush, EnqueueOutcome, EnrollmentState, NextPush, Occasion,
    PushOutcome, SentNote, Store, StoreError,
};

use uuid::Uuid;

use crate::database::{
    TestDatabase, UDID, answer, at, authenticate_row, command, enroll, issuance, new_database,
    tokens,
};

async fn second_node(database: &TestDatabase) -> Store {
    Store::connect(&database.url, database.sealing.clone())
        .await
        .unwrap()
}

#[tokio::test]
async fn nodes_that_start_together_make_the_tables_once() {
    // A database of its own, whose tables are gone again.
    let database = new_database().await;
    drop_all(&database).await;
    let starting = (0..4).map(|_| {
        let (url, sealing) = (database.url.clone(), database.sealing.clone());
        tokio::spawn(async move { Store::connect(&url, sealing).await })
    });
    for started in starting.collect::<Vec<_>>() {
        let node = started.await.unwrap().unwrap();
        assert_eq!(node.latest_policy().await.unwrap(), None);
    }
}

async fn drop_all(database: &TestDatabase) {
    use sea_orm::{ConnectionTrait, Database, DbBackend};
    let raw = Database::connect(&database.url).await.unwrap();
    if raw.get_database_backend() == DbBackend::Postgres {
        let undo = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
        raw.execute_unprepared(undo).await.unwrap();
    } else {
        for table in [
            "command",
            "push_outbox",
            "event_outbox",
            "enrollment",
            "scep_transaction",
            "certificate",
            "enrollment_session",
            "local_user",
            "challenge_use",
            "setting",
            "policy_revision",
            "plugin",
            "decision",
            "sign_in_step",
            "approval",
            "person_standing",
            "event_schedule",
            "lease",
            "forgotten_command",
            "seaql_migrations",
        ] {
            let undo = format!("DROP TABLE {table}");
            raw.execute_unprepared(&undo).await.unwrap();
        }
    }
}

#[tokio::test]
async fn of_nodes_with_different_keys_the_first_one_stays() {
    let database = new_database().await;
    let other = Store::connect(&database.url, SealingKey::generate()).await;
    assert!(matches!(other.unwrap_err(), StoreError::WrongSealingKey));
}

#[tokio::test]
async fn work_has_one_holder_until_it_is_over_or_given_up() {
    let database = new_database().await;
    let nodes = [database.store.clone(), second_node(&database).await];
    let ids = [1, 2].map(Uuid::from_u128);
    let hold = async |node: usize, work: &str, until: u64, now: u64| {
        let held = nodes[node].hold_lease(work, ids[node], at(until), at(now));
        held.await.unwrap()
    };
    assert!(hold(0, "tidy", 10, 0).await);
    assert!(!hold(1, "tidy", 19, 9).await);
    assert!(hold(1, "events", 19, 9).await, "other work is another's");
    assert!(hold(0, "tidy", 19, 9).await, "it is prolonged");
    assert!(!hold(1, "tidy", 28, 18).await);
    assert!(hold(1, "tidy", 29, 19).await, "it was over");
    assert!(!hold(0, "tidy", 30, 20).await);
    nodes[1].release_leases(ids[1]).await.unwrap();
    assert!(hold(0, "tidy", 30, 20).await);
    assert!(hold(0, "events", 30, 20).await);

    let asking = (0..16).map(|n| {
        let (node, id) = (nodes[n % 2].clone(), Uuid::from_u128(n as u128));
        tokio::spawn(async move { node.hold_lease("new", id, at(10), at(0)).await.unwrap() })
    });
    let mut holders = 0;
    for asked in asking.collect::<Vec<_>>() {
        holders += usize::from(asked.await.unwrap());
    }
    assert_eq!(holders, 1);
}

/// Everything that may happen to a device at once, from two nodes: nothing waits for itself in a circle, and nothing fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_serve_one_device_at_once() {
    const ROUNDS: u32 = 25;
    let database = new_database().await;
    enroll(&database, UDID, 1).await;
    let issued = database.issue(&issuance(2), at(0)).await.unwrap();
    assert_eq!(issued, lanyard_store::IssueOutcome::Issued);
    let user = lanyard_store::TokenUpdate {
        user_id: Some("U"),
        ..tokens(UDID)
    };
    database.token_update(user, at(2)).await.unwrap();
    let channel = user.enrollment_id();

    let mut tasks = tokio::task::JoinSet::new();
    for node in [database.store.clone(), second_node(&database).await] {
        for worker in 0..6_u32 {
            let (node, channel) = (node.clone(), channel.clone());
            tasks.spawn(async move {
                for round in 0..ROUNDS {
                    one_thing(&node, &channel, worker, round).await.unwrap();
                }
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let enrollment = database.find_enrollment(UDID).await.unwrap().unwrap();
    assert_ne!(enrollment.state, EnrollmentState::CheckedOut);
}

async fn one_thing(node: &Store, channel: &str, worker: u32, round: u32) -> Result<(), StoreError> {
    let now = at(10 + u64::from(round));
    match worker {
        0 => {
            for id in [UDID, channel] {
                let uuid = format!("{id}-{round}");
                let queued = node.enqueue(command(id, &uuid), now).await?;
                assert!(!matches!(queued, EnqueueOutcome::UnknownEnrollment));
                let (enrollment_id, uuid) = (id.to_owned(), uuid);
                let sent = SentNote {
                    enrollment_id,
                    uuid: uuid.clone(),
                    at: now,
                };
                node.note_sent(&[sent]).await?;
                let answer = answer(&uuid, CommandStatus::Acknowledged, b"");
                node.settle(id, answer, now).await?;
            }
        }
        1 => {
            node.token_update(tokens(UDID), now).await?;
            let user = lanyard_store::TokenUpdate {
                user_id: Some("U"),
                ..tokens(UDID)
            };
            node.token_update(user, now).await?;
        }
        2 => {
            let row = authenticate_row(UDID, 1);
            let occasion = if round.is_multiple_of(2) {
                Occasion::FreshEnrollment
            } else {
                Occasion::Renewal
            };
            node.authenticate(row, occasion, now).await?;
        }
        3 => {
            let seen = [(channel.to_owned(), now), (UDID.to_owned(), now)];
            node.touch_last_seen(&seen).await?;
        }
        4 => {
            let taken = node.take_pushes(now, now, now, 10).await?;
            let outcome = |push: &DuePush| PushOutcome {
                enrollment_id: push.enrollment_id.clone(),
                generation: push.generation,
                result: Some("503".to_owned()),
                next: match round % 4 {
                    0 => NextPush::Again(now),
                    1 => NextPush::Reminder(now),
                    2 => NextPush::TokenDead,
                    _ => NextPush::Nothing,
                },
            };
            let outcomes: Vec<_> = taken.iter().map(outcome).collect();
            node.record_pushes(&outcomes, now).await?;
        }
        _ => {
            let left = node.check_out(channel, None, now).await?;
            assert_ne!(left, CheckOutOutcome::Unknown);
        }
    }
    Ok(())
}
