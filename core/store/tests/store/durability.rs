use lanyard_pki::seal::SealingKey;
use lanyard_store::{CommandStatus, IssueOutcome, PasswordHash, Store, StoreError};
use sea_orm::{ConnectionTrait, Database};

use crate::database::{
    TestDatabase, UDID, answer, at, command, enqueue, enroll, issuance, new_database,
    new_sqlite_database, next, sqlite_url, tokens,
};

/// The whole database as it lies on the disk, write-ahead log included.
pub(crate) fn bytes_on_disk(database: &TestDatabase) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(database.directory.path()).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    bytes
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[tokio::test]
async fn secrets_are_not_on_the_disk() {
    let database = new_sqlite_database().await;
    enroll(&database, UDID, 1).await;
    enqueue(&database, UDID, "lock").await;
    let result = b"<plist>the result</plist>";
    let status = CommandStatus::Acknowledged;
    database
        .settle(UDID, answer("lock", status, result), at(5))
        .await
        .unwrap();

    let disk = bytes_on_disk(&database);
    assert!(contains(&disk, UDID.as_bytes()), "the scan sees the rows");
    let message = tokens(UDID);
    for secret in [
        message.token,
        message.push_magic.as_bytes(),
        message.unlock_token.unwrap(),
        command(UDID, "lock").payload,
        result,
    ] {
        let name = String::from_utf8_lossy(secret);
        assert!(!contains(&disk, secret), "{name} lies open");
    }
}

/// A process that dies leaves its files as they are at that moment.
fn crash(database: &TestDatabase) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(database.directory.path()).unwrap() {
        let entry = entry.unwrap();
        // The index of the log is rebuilt by whoever opens the database first.
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    let database = new_sqlite_database().await;
    enroll(&database, UDID, 1).await;
    enqueue(&database, UDID, "lock").await;
    let crashed = crash(&database);

    let store = Store::connect(&sqlite_url(&crashed), database.sealing.clone())
        .await
        .unwrap();
    assert_eq!(next(&store, UDID, false).await.as_deref(), Some("lock"));
    let target = store.push_target(UDID).await.unwrap().unwrap();
    assert_eq!(target.token.expose().as_slice(), tokens(UDID).token);
    assert!(store.push_due(UDID).await.unwrap().is_some());
    let retry = store.issue(&issuance(1), at(9)).await.unwrap();
    assert!(matches!(retry, IssueOutcome::AlreadyIssued(_)));
}

#[tokio::test]
async fn a_database_insists_on_its_sealing_key() {
    let database = new_database().await;
    let url = database.url.clone();
    let reopened = Store::connect(&url, database.sealing.clone()).await;
    assert!(reopened.is_ok());
    for opened in [
        Store::connect(&url, SealingKey::generate()).await,
        Store::connect_read_only(&url, SealingKey::generate()).await,
    ] {
        let error = opened.unwrap_err();
        assert!(matches!(error, StoreError::WrongSealingKey), "{error}");
    }
}

#[tokio::test]
async fn a_sealed_value_opens_only_where_it_was_put() {
    let database = new_database().await;
    enroll(&database, "A", 1).await;
    enroll(&database, "B", 2).await;
    let raw = Database::connect(database.url.clone()).await.unwrap();
    raw.execute_unprepared(
        "UPDATE enrollment SET unlock_token = (SELECT unlock_token FROM enrollment WHERE id = 'A') WHERE id = 'B'",
    )
    .await
    .unwrap();

    assert!(database.unlock_token("A").await.unwrap().is_some());
    let error = database.unlock_token("B").await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StoreError::Damaged { .. }), "{text}");
    assert!(text.contains("enrollment.unlock_token/B"), "{text}");
}

#[tokio::test]
async fn a_state_of_another_version_is_named() {
    let database = new_database().await;
    enroll(&database, "A", 1).await;
    let raw = Database::connect(database.url.clone()).await.unwrap();
    raw.execute_unprepared("UPDATE enrollment SET state = 'asleep'")
        .await
        .unwrap();
    let error = database.find_enrollment("A").await.unwrap_err().to_string();
    assert_eq!(
        error,
        "table enrollment holds a damaged value: \"asleep\" is not one of pending, enrolled, checked_out"
    );
}

#[tokio::test]
async fn a_report_reads_beside_the_server_and_writes_nothing() {
    let database = new_database().await;
    let url = database.url.clone();
    let report = Store::connect_read_only(&url, database.sealing.clone())
        .await
        .unwrap();
    enroll(&database, UDID, 1).await;
    assert!(report.push_target(UDID).await.unwrap().is_some());

    let hash = PasswordHash::new("$argon2id$one");
    for refused in [
        report.add_user("amina", "Amina", &hash, at(0)).await.err(),
        report.token_update(tokens(UDID), at(5)).await.err(),
    ] {
        assert!(matches!(refused, Some(StoreError::ReadOnly)));
    }
}

#[tokio::test]
async fn a_report_needs_a_database_of_this_version() {
    let directory = tempfile::tempdir().unwrap();
    let url = sqlite_url(&directory);
    let absent = Store::connect_read_only(&url, SealingKey::generate()).await;
    assert!(matches!(absent.unwrap_err(), StoreError::Database(_)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

    std::fs::write(directory.path().join("lanyard.db"), b"").unwrap();
    let empty = Store::connect_read_only(&url, SealingKey::generate()).await;
    assert!(matches!(empty.unwrap_err(), StoreError::Unmigrated));
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let database = new_database().await;
    let url = database.url.clone();
    let raw = Database::connect(&url).await.unwrap();
    raw.execute_unprepared("INSERT INTO seaql_migrations VALUES ('m9999_later', 0)")
        .await
        .unwrap();
    let writing = Store::connect(&url, database.sealing.clone()).await;
    assert!(matches!(writing.unwrap_err(), StoreError::Database(_)));
    let reading = Store::connect_read_only(&url, database.sealing.clone()).await;
    assert!(matches!(reading.unwrap_err(), StoreError::Unmigrated));
}

#[tokio::test]
async fn a_database_may_live_in_memory() {
    let store = Store::connect("sqlite::memory:", SealingKey::generate())
        .await
        .unwrap();
    enroll(&store, UDID, 1).await;
    assert!(store.push_target(UDID).await.unwrap().is_some());
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_address_of_another_database_is_refused() {
    let opened = Store::connect("mysql://localhost/lanyard", SealingKey::generate()).await;
    assert!(matches!(opened.unwrap_err(), StoreError::UnsupportedUrl));
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let database = new_database().await;
    enroll(&database, UDID, 1).await;
    let url = database.url.clone();
    let raw = Database::connect(url.clone()).await.unwrap();
    for undo in [
        "DROP TABLE policy_revision",
        "DROP TABLE plugin",
        "DROP TABLE decision",
        "DROP TABLE sign_in_step",
        "DROP TABLE approval",
        "DROP INDEX scep_transaction_state",
        "ALTER TABLE scep_transaction DROP COLUMN request",
        "ALTER TABLE command DROP COLUMN decision",
        "DROP TABLE person_standing",
        "DROP TABLE event_schedule",
        "DROP TABLE lease",
        "DROP INDEX enrollment_person",
        "DROP INDEX enrollment_certificate",
        "DROP INDEX certificate_end",
        "ALTER TABLE enrollment DROP COLUMN token_updated_at",
        "ALTER TABLE enrollment DROP COLUMN token_dead_at",
        "ALTER TABLE push_outbox DROP COLUMN not_before",
        "ALTER TABLE push_outbox DROP COLUMN reminders",
        "DROP INDEX command_created",
        "DROP INDEX command_open",
        "DROP INDEX command_done",
        "DROP INDEX enrollment_session_of",
        "DROP TABLE forgotten_command",
        "CREATE INDEX command_queue ON command (enrollment_id, state, seq)",
        "ALTER TABLE enrollment_session RENAME COLUMN build TO os_version",
        "DELETE FROM seaql_migrations WHERE version <> 'm0001_initial'",
    ] {
        raw.execute_unprepared(undo).await.unwrap();
    }
    let store = Store::connect(&url, database.sealing.clone())
        .await
        .unwrap();
    assert!(store.find_enrollment(UDID).await.unwrap().is_some());
    let due = store.persons_due("local-users", at(9), 10).await.unwrap();
    assert_eq!(due.len(), 1, "who has a device is asked about");
    let document = serde_json::json!({ "binding": [] });
    assert_eq!(store.add_policy(&document, &[], at(9)).await.unwrap(), 1);
    let latest = store.latest_policy().await.unwrap().unwrap();
    assert_eq!((latest.number, latest.document), (1, document));
}
