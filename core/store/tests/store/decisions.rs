use lanyard_store::{DecisionFilter, DecisionRecord, StoreError};
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;

use crate::database::{at, new_database, new_sqlite_database};
use crate::durability::{bytes_on_disk, contains};

/// A sign-in that sends somebody away, and leaves a state.
pub(crate) fn record(id: &str) -> DecisionRecord {
    let step = json!({ "redirect": { "url": "https://login.example/?nonce=n0nce", "state": b"verifier" } });
    DecisionRecord {
        id: id.to_owned(),
        hook: "directory".to_owned(),
        at: at(0),
        subject: None,
        serial: None,
        policy: Some(1),
        question: json!({ "user_name": "amina", "state": b"previous" }),
        opinions: json!([{ "binding": "oidc", "verdict": step }]),
        outcome: json!({ "verdict": step }),
        used: json!([{ "binding": "oidc", "fuel": 7 }]),
        tape: b"[[\"told by the host\"]]".to_vec(),
        beside: None,
    }
}

#[tokio::test]
async fn what_was_asked_and_said_is_not_on_the_disk() {
    let database = new_sqlite_database().await;
    let kept = record("d-1");
    database.keep_decision(&kept).await.unwrap();

    let disk = bytes_on_disk(&database);
    assert!(contains(&disk, b"d-1"), "the scan sees the row");
    let numbers = |state: &[u8]| json!(state).to_string().trim_matches(['[', ']']).to_owned();
    for said in [
        "amina",
        "n0nce",
        "login.example",
        "told by the host",
        &numbers(b"previous"),
        &numbers(b"verifier"),
    ] {
        assert!(!contains(&disk, said.as_bytes()), "{said} lies open");
    }
    let found = database.find_decision("d-1").await.unwrap().unwrap();
    assert_eq!(found, kept);
    let listed = database.list_decisions(DecisionFilter::default(), 10).await;
    assert_eq!(listed.unwrap(), [kept]);
}

#[tokio::test]
async fn a_record_from_before_it_was_sealed_is_read() {
    let database = new_database().await;
    let kept = record("d-1");
    database.keep_decision(&kept).await.unwrap();
    let raw = Database::connect(database.url.clone()).await.unwrap();
    let clear = format!(
        "UPDATE decision SET question = '{}', opinions = '{}', outcome = '{}'",
        kept.question, kept.opinions, kept.outcome
    );
    raw.execute_unprepared(&clear).await.unwrap();
    let found = database.find_decision("d-1").await.unwrap().unwrap();
    assert_eq!(found, kept);
}

#[tokio::test]
async fn a_sealed_record_opens_in_its_own_place_only() {
    let database = new_database().await;
    let raw = Database::connect(database.url.clone()).await.unwrap();
    for (id, moved) in [
        (
            "d-1",
            "question = (SELECT question FROM decision WHERE id = 'd-0')",
        ),
        ("d-2", "outcome = opinions"),
        ("d-3", "opinions = '\"no base64\"'"),
    ] {
        for id in ["d-0", id] {
            database.keep_decision(&record(id)).await.unwrap();
        }
        let sql = format!("UPDATE decision SET {moved} WHERE id = '{id}'");
        raw.execute_unprepared(&sql).await.unwrap();
        let found = database.find_decision(id).await;
        assert!(
            matches!(
                found,
                Err(StoreError::Damaged {
                    table: "decision",
                    ..
                })
            ),
            "{moved}: {found:?}"
        );
    }
    assert!(database.find_decision("d-0").await.unwrap().is_some());
}
