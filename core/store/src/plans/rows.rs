//! A million rows in each table that grows with devices, or with what they do.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::Store;

/// How many in each.
const ROWS: u32 = 1_000_000;

/// The tables, in the order in which their foreign keys need them.
pub(super) const TABLES: [&str; 9] = [
    "enrollment_session",
    "certificate",
    "scep_transaction",
    "challenge_use",
    "enrollment",
    "command",
    "push_outbox",
    "event_outbox",
    "person_standing",
];

/// What is put into them for each number `n`: most of it is done, and of each table something is due. `BLOB` stands for the type of octets.
const CONTENT: [&str; 9] = [
    "(id, directory, person_id, person_name, attributes, state, challenge_hash, version, created_at, expires_at) \
     SELECT '00000000-0000-4000-8000-0000' || n, 'school', 'person-' || n, 'A person', '{}', \
     CASE WHEN n % 1000 = 0 THEN 'authenticated' ELSE 'completed' END, CAST('challenge ' || n AS BLOB), 5, n, n",
    "(fingerprint, serial, authority, subject, purpose, session_id, enrollment_id, issued_at, not_after, der) \
     SELECT 'fingerprint-' || n, 'serial-' || n, 'device', 'CN=Device', 'identity', \
     CASE WHEN n % 1000 = 0 THEN NULL ELSE '00000000-0000-4000-8000-0000' || n END, \
     'device-' || n, n, 2000000000000, CAST('certificate' AS BLOB) ",
    "(endpoint, transaction_id, signer_spki, csr_sha256, state, fingerprint, challenge_id, created_at, updated_at) \
     SELECT 'device', 'transaction-' || n, 'signer-' || n, 'request', 'issued', 'fingerprint-' || n, 'challenge-' || n, n, n",
    "(id, used_by, used_at, expires_at) SELECT 'challenge-' || n, 'transaction-' || n, n, 1700000000000 + n",
    "(id, device_id, directory, person_id, person_name, state, topic, certificate, token_updates, command_seq, version, created_at) \
     SELECT 'device-' || n, 'device-' || n, 'school', 'person-' || n, 'A person', 'enrolled', 'com.apple.mgmt.External.1', \
     'fingerprint-' || n, 1, 1, 2, n",
    "(enrollment_id, uuid, seq, request_type, payload, origin, bypass, state, created_at, not_now_count, completed_at) \
     SELECT 'device-' || n, 'command-' || n, 1, 'ProfileList', CAST('sealed' AS BLOB), 'operator', FALSE, \
     CASE WHEN n % 100 = 0 THEN 'queued' ELSE 'acknowledged' END, n, 0, \
     CASE WHEN n % 100 = 0 THEN NULL ELSE 1700000000000 + n END",
    "(enrollment_id, due_at, attempts, generation, reminders) \
     SELECT 'device-' || n, CASE WHEN n % 100 = 0 THEN 1700000000000 + n ELSE NULL END, 0, 1, 0",
    "(id, binding, payload, created_at, due_at, attempts) \
     SELECT '00000000-0000-4000-8000-0000' || n, 'binding-' || (n % 3), '{}', n, \
     CASE WHEN n % 1000 = 0 THEN 1700000000000 + n ELSE NULL END, 0",
    "(directory, person_id, active, due_at) \
     SELECT 'school', 'person-' || n, TRUE, CASE WHEN n % 1000 = 0 THEN 1700000000000 + n ELSE 1900000000000 + n END",
];

/// Fills the tables inside of the database. What takes most of the time is left out, and makes no difference to a plan: references that are looked
/// up, waiting for a disk, and on PostgreSQL a log of what nobody keeps, and indexes that are kept while rows come. (SQLite is faster with them:
/// most of what comes is the last in each.)
pub(super) async fn fill(store: &Store) {
    let db = store.writer().unwrap();
    let on_postgres = db.get_database_backend() == DbBackend::Postgres;
    let octets = if on_postgres { "bytea" } else { "BLOB" };
    let mut inserts = String::new();
    for (table, content) in TABLES.iter().zip(CONTENT) {
        let (content, numbers) = (content.replace("BLOB", octets), numbers(on_postgres));
        write!(inserts, "INSERT INTO {table} {content} FROM {numbers}; ").unwrap();
    }
    let filling = if on_postgres {
        fast_on_postgres(db, &inserts).await
    } else {
        format!(
            "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; \
             {inserts} PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL"
        )
    };
    db.execute_unprepared(&filling).await.unwrap();
}

async fn fast_on_postgres(db: &DatabaseConnection, inserts: &str) -> String {
    let (mut before, mut after) = (String::new(), String::new());
    // A table that others refer to is logged for as long as they are.
    for table in TABLES.iter().rev() {
        write!(before, "ALTER TABLE {table} SET UNLOGGED; ").unwrap();
    }
    let indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' \
                   AND indexname NOT IN (SELECT conname FROM pg_constraint)";
    let indexes = Statement::from_string(DbBackend::Postgres, indexes);
    for index in db.query_all_raw(indexes).await.unwrap() {
        let text = |column| index.try_get_by_index::<String>(column).unwrap();
        write!(before, "DROP INDEX {}; ", text(0)).unwrap();
        write!(after, "{}; ", text(1)).unwrap();
    }
    format!(
        "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL session_replication_role = replica; \
         SET LOCAL maintenance_work_mem = '256MB'; {before} {inserts} {after} ANALYZE; COMMIT"
    )
}

/// So many numbers `n`. All have as many digits, so that what is made of them comes last in each index.
fn numbers(on_postgres: bool) -> String {
    let (first, last) = (10_000_000, 10_000_000 + ROWS - 1);
    if on_postgres {
        format!("generate_series({first}, {last}) AS numbers(n)")
    } else {
        format!(
            "(WITH RECURSIVE each(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM each WHERE n < {last}) SELECT n FROM each)"
        )
    }
}
