//! Sealing keys that are rotated while the store is used.

use std::collections::BTreeMap;

use lanyard_pki::seal::{KeyRing, SealingKey};
use lanyard_store::{CommandStatus, Resealing, Store, StoreError, TokenUpdate};

use crate::approvals::defer;
use crate::database::{
    TestDatabase, UDID, answer, at, certificate, command, enqueue, enroll, key, new_database,
    new_session, next, tokens,
};
use crate::decisions::record;

/// Values of [`fill`], the proof of the key not counted.
const VALUES: u64 = 12;

/// Something in every column that is sealed.
async fn fill(store: &Store) {
    enroll(store, UDID, 2).await;
    for uuid in ["done", "waits"] {
        enqueue(store, UDID, uuid).await;
    }
    let done = answer("done", CommandStatus::Acknowledged, b"the result");
    store.settle(UDID, done, at(5)).await.unwrap();
    store.create_session(new_session(1)).await.unwrap();
    defer(store, 7, "csr", &["asks"], 5).await;
    store.keep_sign_in("aa", b"step", at(600)).await.unwrap();
    store.keep_decision(&record("d-1")).await.unwrap();
}

/// Everything of [`fill`] is there.
async fn opens(store: &Store) {
    let target = store.push_target(UDID).await.unwrap().unwrap();
    assert_eq!(target.token.expose().as_slice(), tokens(UDID).token);
    assert_eq!(target.push_magic.expose(), tokens(UDID).push_magic);
    let unlock = store.unlock_token(UDID).await.unwrap().unwrap();
    assert_eq!(Some(unlock.expose().as_slice()), tokens(UDID).unlock_token);
    assert_eq!(next(store, UDID, false).await.as_deref(), Some("waits"));
    let done = store.find_command(UDID, "done").await.unwrap().unwrap();
    assert_eq!(
        done.payload.expose().as_slice(),
        command(UDID, "done").payload
    );
    let result = done.result.unwrap();
    assert_eq!(result.expose().as_slice(), b"the result");
    let request = store.waiting_request(&key(7)).await.unwrap().unwrap();
    assert_eq!(request.expose().as_slice(), b"the request");
    let step = store.find_sign_in("aa", at(6)).await.unwrap().unwrap();
    assert_eq!(step.expose().as_slice(), b"step");
    let decision = store.find_decision("d-1").await.unwrap().unwrap();
    assert_eq!(decision, record("d-1"));
}

fn ring(keys: &[&SealingKey]) -> KeyRing {
    let lines: Vec<String> = keys.iter().map(|key| key.to_text().to_string()).collect();
    KeyRing::from_text(&lines.join("\n")).unwrap()
}

async fn node(database: &TestDatabase, keys: &[&SealingKey]) -> Result<Store, StoreError> {
    Store::connect(&database.url, ring(keys)).await
}

async fn reseal(store: &Store, limit: u64) -> u64 {
    let mut pass = Resealing::default();
    while !pass.is_over() {
        store.reseal(&mut pass, limit).await.unwrap();
    }
    pass.resealed
}

#[tokio::test]
async fn a_rotation_goes_on_after_a_crash_until_the_old_key_is_not_needed() {
    let database = new_database().await;
    let (old, new) = (&database.sealing, SealingKey::generate());
    fill(&database).await;
    assert_eq!(
        database.sealed().await.unwrap(),
        BTreeMap::from([(old.id(), VALUES)])
    );
    assert_eq!(database.sealing_key_rotated_at().await.unwrap(), None);

    let store = node(&database, &[old, &new]).await.unwrap();
    store.rotate_sealing_key(new.id(), at(100)).await.unwrap();
    let rotated = store.sealing_key_rotated_at().await.unwrap();
    assert_eq!(rotated, Some(at(100)));
    opens(&store).await;
    let mut pass = Resealing::default();
    while pass.resealed < 3 {
        store.reseal(&mut pass, 1).await.unwrap();
    }
    assert!(!pass.is_over());
    let halfway = BTreeMap::from([(old.id(), VALUES - 3), (new.id(), 3)]);
    assert_eq!(store.sealed().await.unwrap(), halfway);
    opens(&store).await;
    drop(store);

    // The order of the keys does not matter: the database says which one it is sealed with.
    let store = node(&database, &[old, &new]).await.unwrap();
    assert_eq!(store.key_ring().current(), new.id());
    assert_eq!(reseal(&store, 1).await, VALUES - 3);
    assert_eq!(reseal(&store, 100).await, 0);
    let all = BTreeMap::from([(new.id(), VALUES)]);
    assert_eq!(store.sealed().await.unwrap(), all);
    opens(&store).await;

    opens(&node(&database, &[&new]).await.unwrap()).await;
    let error = node(&database, &[old]).await.unwrap_err();
    assert!(matches!(error, StoreError::WrongSealingKey), "{error}");
}

#[tokio::test]
async fn a_node_follows_the_key_that_another_one_rotated() {
    let database = new_database().await;
    let (old, new) = (&database.sealing, SealingKey::generate());
    let here = node(&database, &[old, &new]).await.unwrap();
    let there = node(&database, &[old, &new]).await.unwrap();
    let behind = node(&database, &[old]).await.unwrap();
    let unknown = here.rotate_sealing_key(SealingKey::generate().id(), at(1));
    assert!(matches!(
        unknown.await.unwrap_err(),
        StoreError::WrongSealingKey
    ));
    here.rotate_sealing_key(new.id(), at(1)).await.unwrap();

    there.keep_sign_in("aa", b"a", at(600)).await.unwrap();
    there.follow_sealing_key().await.unwrap();
    there.keep_sign_in("bb", b"b", at(600)).await.unwrap();
    let each = BTreeMap::from([(old.id(), 1), (new.id(), 1)]);
    assert_eq!(here.sealed().await.unwrap(), each);
    assert_eq!(reseal(&here, 10).await, 1);

    // Without the key it goes on with its own; once it is there, it is taken.
    let error = behind.follow_sealing_key().await.unwrap_err();
    assert!(matches!(error, StoreError::WrongSealingKey), "{error}");
    behind.keep_sign_in("cc", b"c", at(600)).await.unwrap();
    assert!(behind.find_sign_in("bb", at(2)).await.is_err());
    behind.key_ring().take_over(&ring(&[old, &new]));
    behind.follow_sealing_key().await.unwrap();
    for ticket in ["aa", "bb", "cc"] {
        let found = behind.find_sign_in(ticket, at(2)).await.unwrap();
        assert!(found.is_some(), "{ticket}");
    }
    assert_eq!(behind.key_ring().current(), new.id());
}

/// What is written while a pass reads and writes the same rows stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn values_that_change_meanwhile_are_not_set_back() {
    const ROUNDS: u8 = 10;
    const DEVICES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
    let database = new_database().await;
    let (old, new) = (&database.sealing, SealingKey::generate());
    for (n, id) in (1..).zip(DEVICES) {
        enroll(&database, id, n).await;
    }
    let store = node(&database, &[old, &new]).await.unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 1..=ROUNDS {
                for (n, id) in (1..).zip(DEVICES) {
                    let message = TokenUpdate {
                        token: &[round; 32],
                        certificate: &certificate(n).fingerprint,
                        ..tokens(id)
                    };
                    store.token_update(message, at(10)).await.unwrap();
                    let read = store.push_target(id).await.unwrap().unwrap();
                    assert_eq!(read.token.expose().as_slice(), [round; 32]);
                }
            }
        }
    });
    let mut turns = [&new, old].into_iter().cycle();
    let mut resealed = 0;
    while !writer.is_finished() {
        let next = turns.next().unwrap().id();
        store.rotate_sealing_key(next, at(1)).await.unwrap();
        resealed += reseal(&store, 10).await;
    }
    writer.await.unwrap();
    assert!(resealed > 0);
    for id in DEVICES {
        let last = store.push_target(id).await.unwrap().unwrap();
        assert_eq!(last.token.expose().as_slice(), [ROUNDS; 32]);
    }
}

#[tokio::test]
async fn a_decision_of_before_it_was_sealed_is_left_as_it_is() {
    use sea_orm::{ConnectionTrait, Database};
    let database = new_database().await;
    let (old, new) = (&database.sealing, SealingKey::generate());
    database.keep_decision(&record("d-1")).await.unwrap();
    let raw = Database::connect(database.url.clone()).await.unwrap();
    raw.execute_unprepared("UPDATE decision SET question = '{\"a\": \"b\"}'")
        .await
        .unwrap();
    let store = node(&database, &[old, &new]).await.unwrap();
    store.rotate_sealing_key(new.id(), at(1)).await.unwrap();
    assert_eq!(reseal(&store, 10).await, 3);
    let found = store.find_decision("d-1").await.unwrap().unwrap();
    assert_eq!(found.question, serde_json::json!({ "a": "b" }));
}
