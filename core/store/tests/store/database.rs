//! A database of its own for each test, and the rows that tests start from.

use std::process::Command;
use std::time::{Duration, SystemTime};

use lanyard_pki::seal::SealingKey;
use lanyard_store::{
    AuthenticateOutcome, AuthenticateRow, Certificate, CertificatePurpose, Challenge,
    CommandAnswer, CommandStatus, EnqueueOutcome, EnrollmentFacts, IssueOutcome, NewCommand,
    NewIssuance, NewSession, Occasion, SentNote, Store, TokenUpdate, TokenUpdateOutcome,
    TransactionKey,
};
use sea_orm::{ConnectionTrait, Database};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const UDID: &str = "00008110-000A1B2C3D4E5F60";

/// A moment in these tests: `seconds` after some day in 2026.
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

pub(crate) struct TestDatabase {
    pub(crate) store: Store,
    pub(crate) url: String,
    /// Where the file of an SQLite database is.
    pub(crate) directory: TempDir,
    pub(crate) sealing: SealingKey,
    /// Dropped with this, if it is on PostgreSQL.
    _on_postgres: Option<OnPostgres>,
}

/// A database on the server for tests, which goes with this: a few megabytes for each test would add up.
struct OnPostgres {
    server: String,
    name: String,
}

impl Drop for OnPostgres {
    fn drop(&mut self) {
        let mut drop = Command::new("dropdb");
        drop.args(["--force", "--if-exists", "--maintenance-db"]);
        // A server that ended meanwhile has nothing to remove.
        let _ = drop.args([&self.server, &self.name]).output();
    }
}

impl std::ops::Deref for TestDatabase {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

pub(crate) fn sqlite_url(directory: &TempDir) -> String {
    format!("sqlite:{}", directory.path().join("lanyard.db").display())
}

/// On the PostgreSQL server that `LANYARD_TEST_POSTGRES` names, otherwise a file.
pub(crate) async fn new_database() -> TestDatabase {
    let directory = tempfile::tempdir().unwrap();
    let Ok(server) = std::env::var("LANYARD_TEST_POSTGRES") else {
        let url = sqlite_url(&directory);
        return open(directory, url, None).await;
    };
    let database = new_postgres_database(server).await;
    let (address, _) = database.server.rsplit_once('/').unwrap();
    let url = format!("{address}/{}", database.name);
    open(directory, url, Some(database)).await
}

/// For what is true of files only.
pub(crate) async fn new_sqlite_database() -> TestDatabase {
    let directory = tempfile::tempdir().unwrap();
    let url = sqlite_url(&directory);
    open(directory, url, None).await
}

async fn open(directory: TempDir, url: String, on_postgres: Option<OnPostgres>) -> TestDatabase {
    let sealing = SealingKey::generate();
    let store = Store::connect(&url, sealing.clone()).await.unwrap();
    TestDatabase {
        store,
        url,
        directory,
        sealing,
        _on_postgres: on_postgres,
    }
}

async fn new_postgres_database(server: String) -> OnPostgres {
    let name = format!("store_{}", Uuid::new_v4().simple());
    let administrator = Database::connect(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    administrator.execute_unprepared(&create).await.unwrap();
    OnPostgres { server, name }
}

pub(crate) fn answer<'a>(
    uuid: &'a str,
    status: CommandStatus,
    result: &'a [u8],
) -> CommandAnswer<'a> {
    CommandAnswer {
        uuid,
        status,
        result,
        error: None,
        sent_at: None,
    }
}

pub(crate) fn sent(uuid: &str, seconds: u64) -> SentNote {
    SentNote {
        enrollment_id: UDID.to_owned(),
        uuid: uuid.to_owned(),
        at: at(seconds),
    }
}

pub(crate) fn new_session(n: u8) -> NewSession {
    NewSession {
        id: Uuid::from_u128(u128::from(n)),
        directory: "local-users".into(),
        person_id: "amina".into(),
        person_name: "Amina K.".into(),
        attributes: json!({"mail": "amina@example.com"}),
        challenge_hash: vec![n; 32],
        created_at: at(0),
        expires_at: at(600),
    }
}

pub(crate) fn key(n: u32) -> TransactionKey {
    TransactionKey {
        endpoint: "device".into(),
        transaction_id: format!("{n:08x}"),
        signer_spki: "5b".repeat(32),
    }
}

pub(crate) fn challenge(n: u32) -> Challenge {
    Challenge {
        id: format!("challenge-{n}"),
        expires_at: at(3_600),
    }
}

pub(crate) fn certificate(n: u32) -> Certificate {
    Certificate {
        fingerprint: format!("{n:064x}"),
        serial: format!("{n:x}"),
        authority: "device".into(),
        subject: "CN=Lanyard device".into(),
        purpose: CertificatePurpose::Identity,
        session_id: None,
        device_id: None,
        issued_at: at(0),
        not_after: at(31_536_000),
        revoked_at: None,
        der: vec![0x30, 0x00],
    }
}

pub(crate) fn issuance(n: u32) -> NewIssuance {
    NewIssuance {
        key: key(n),
        csr_sha256: format!("csr-{n}"),
        challenge: challenge(n),
        certificate: certificate(n),
        session: None,
    }
}

/// An Authenticate of `device_id` with certificate `n`, which is issued for it.
pub(crate) async fn authenticate(
    store: &Store,
    device_id: &str,
    n: u32,
    occasion: Occasion,
) -> AuthenticateOutcome {
    let issued = store.issue(&issuance(n), at(0)).await.unwrap();
    assert_eq!(issued, IssueOutcome::Issued);
    let message = authenticate_row(device_id, n);
    store.authenticate(message, occasion, at(1)).await.unwrap()
}

pub(crate) fn authenticate_row(device_id: &str, n: u32) -> AuthenticateRow {
    AuthenticateRow {
        device_id: device_id.into(),
        session_id: None,
        directory: "local-users".into(),
        person_id: "amina".into(),
        person_name: "Amina K.".into(),
        topic: "com.apple.mgmt.External.1".into(),
        certificate: certificate(n).fingerprint,
        facts: EnrollmentFacts {
            serial: Some("C39XXXXXXX".into()),
            device_name: Some("Amina's iPhone".into()),
            ..EnrollmentFacts::default()
        },
    }
}

/// A TokenUpdate under certificate 1.
pub(crate) fn tokens(device_id: &str) -> TokenUpdate<'_> {
    TokenUpdate {
        device_id,
        user_id: None,
        certificate: "0000000000000000000000000000000000000000000000000000000000000001",
        topic: "com.apple.mgmt.External.1",
        token: b"device token of thirty-two bytes",
        push_magic: "A1B2-push-magic",
        unlock_token: Some(b"an unlock token that clears a passcode"),
        awaiting_configuration: None,
    }
}

/// Brings a device all the way: Authenticate with certificate `n`, then TokenUpdate.
pub(crate) async fn enroll(store: &Store, device_id: &str, n: u32) {
    let outcome = authenticate(store, device_id, n, Occasion::FreshEnrollment).await;
    assert_eq!(outcome, AuthenticateOutcome::Created);
    let message = TokenUpdate {
        certificate: &certificate(n).fingerprint,
        ..tokens(device_id)
    };
    let outcome = store.token_update(message, at(2)).await.unwrap();
    assert_eq!(outcome, TokenUpdateOutcome::First);
}

pub(crate) fn command<'a>(enrollment_id: &'a str, uuid: &'a str) -> NewCommand<'a> {
    NewCommand {
        enrollment_id,
        uuid,
        request_type: "DeviceLock",
        payload: b"<plist>lock it with PIN 123456</plist>",
        origin: "operator",
        decision: None,
        bypass: true,
    }
}

pub(crate) async fn enqueue(store: &Store, enrollment_id: &str, uuid: &str) {
    let outcome = store.enqueue(command(enrollment_id, uuid), at(3)).await;
    assert!(matches!(outcome.unwrap(), EnqueueOutcome::Queued { .. }));
}

/// The UUID that would be sent next.
pub(crate) async fn next(store: &Store, enrollment_id: &str, skip_not_now: bool) -> Option<String> {
    let next = store
        .next_command(enrollment_id, skip_not_now)
        .await
        .unwrap();
    next.map(|command| command.summary.uuid)
}
