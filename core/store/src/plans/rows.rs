//! A million rows in each table that grows with devices, and many in the others.

use sea_orm::{ConnectionTrait, DbBackend};

use crate::Store;

/// How many in each table that grows with devices.
const ROWS: u32 = 1_000_000;

/// How many in those whose rows go by themselves.
const PASSING_ROWS: u32 = 100_000;

const PASSING: [&str; 2] = ["challenge_use", "event_outbox"];

/// The tables, in the order in which their foreign keys need them.
pub(super) const TABLES: [&str; 8] = [
    "enrollment_session",
    "certificate",
    "scep_transaction",
    "challenge_use",
    "enrollment",
    "command",
    "push_outbox",
    "event_outbox",
];

/// What is put into them for each number `n`: most of it is done, and of each table something is due. `BLOB` stands for the type of octets.
const CONTENT: [&str; 8] = [
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
];

pub(super) async fn fill(store: &Store) {
    let db = store.writer().unwrap();
    let run = async |sql: &str| db.execute_unprepared(sql).await.unwrap();
    let on_postgres = db.get_database_backend() == DbBackend::Postgres;
    if !on_postgres {
        for pragma in [
            "foreign_keys = OFF",
            "synchronous = OFF",
            "cache_size = -500000",
        ] {
            run(&format!("PRAGMA {pragma}")).await;
        }
    }
    let octets = if on_postgres { "bytea" } else { "BLOB" };
    for (table, content) in TABLES.iter().zip(CONTENT) {
        let rows = if PASSING.contains(table) {
            PASSING_ROWS
        } else {
            ROWS
        };
        let (content, numbers) = (content.replace("BLOB", octets), numbers(on_postgres, rows));
        let insert = format!("INSERT INTO {table} {content} FROM {numbers}");
        let filling = if on_postgres {
            // References are right as they are, and looking each up would take most of the time.
            format!(
                "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL session_replication_role = replica; {insert}; COMMIT"
            )
        } else {
            insert
        };
        run(&filling).await;
    }
    if on_postgres {
        run("BEGIN; SET LOCAL statement_timeout = 0; ANALYZE; COMMIT").await;
    } else {
        // What servers do not do is not done here either: SQLite plans without statistics.
        for pragma in ["foreign_keys = ON", "synchronous = FULL"] {
            run(&format!("PRAGMA {pragma}")).await;
        }
    }
}

/// So many numbers `n`. All have as many digits, so that what is made of them comes last in each index.
fn numbers(on_postgres: bool, count: u32) -> String {
    let (first, last) = (10_000_000, 10_000_000 + count - 1);
    if on_postgres {
        format!("generate_series({first}, {last}) AS numbers(n)")
    } else {
        format!(
            "(WITH RECURSIVE each(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM each WHERE n < {last}) SELECT n FROM each)"
        )
    }
}
