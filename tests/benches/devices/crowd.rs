//! Many other devices in the database: enrolled, each with a command in its history, and silent.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use lanyard_tests::site::Site;
use sea_orm::{ConnectionTrait, Database, DbBackend};

/// What is put into each table for each number `n`. `BLOB` stands for the type of octets.
const ROWS: [(&str, &str); 4] = [
    (
        "certificate",
        "(fingerprint, serial, authority, subject, purpose, enrollment_id, issued_at, not_after, der) \
         SELECT 'crowd-' || n, 'crowd-' || n, 'crowd', 'CN=Crowd', 'identity', 'crowd-' || n, n, n, CAST('certificate' AS BLOB)",
    ),
    (
        "enrollment",
        "(id, device_id, directory, person_id, person_name, state, topic, certificate, token_updates, command_seq, version, created_at) \
         SELECT 'crowd-' || n, 'crowd-' || n, 'local-users', 'crowd', 'A person', 'enrolled', \
         (SELECT MIN(topic) FROM enrollment), 'crowd-' || n, 1, 1, 2, n",
    ),
    (
        "command",
        "(enrollment_id, uuid, seq, request_type, payload, origin, bypass, state, created_at, not_now_count, completed_at) \
         SELECT 'crowd-' || n, 'crowd-' || n, 1, 'ProfileList', CAST('sealed' AS BLOB), 'operator', FALSE, 'acknowledged', n, 0, \
         4000000000000",
    ),
    (
        "push_outbox",
        "(enrollment_id, due_at, attempts, generation, reminders) SELECT 'crowd-' || n, NULL, 0, 1, 0",
    ),
];

/// Ids have as many digits each.
const FIRST: usize = 10_000_000;

/// Puts so many devices beside those that there are; the server is not running.
pub(crate) async fn gather(url: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let db = Database::connect(url).await?;
    let last = FIRST + count - 1;
    let (octets, numbers, before) = if db.get_database_backend() == DbBackend::Postgres {
        let numbers = format!("generate_series({FIRST}, {last}) AS numbers(n)");
        (
            "bytea",
            numbers,
            "SET LOCAL session_replication_role = replica;",
        )
    } else {
        let numbers = format!(
            "(WITH RECURSIVE each(n) AS (SELECT {FIRST} UNION ALL SELECT n + 1 FROM each WHERE n < {last}) SELECT n FROM each)"
        );
        ("BLOB", numbers, "")
    };
    for (table, content) in ROWS {
        let content = content.replace("BLOB", octets);
        let insert =
            format!("BEGIN; {before} INSERT INTO {table} {content} FROM {numbers}; COMMIT");
        db.execute_unprepared(&insert).await?;
    }
    if db.get_database_backend() == DbBackend::Postgres {
        db.execute_unprepared("ANALYZE").await?;
    }
    Ok(db.close().await?)
}

/// Sends a command to so many of them by the command line; how long that took.
pub(crate) fn enqueue(site: &Site, count: usize) -> Result<Duration, Box<dyn Error>> {
    let ids: Vec<String> = (FIRST..FIRST + count)
        .map(|n| format!("crowd-{n}"))
        .collect();
    let file = site.data().join("crowd.txt");
    fs::write(&file, ids.join("\n"))?;
    let began = Instant::now();
    let said = site.lanyard(&[
        "command",
        "send",
        "--devices",
        &file.display().to_string(),
        "ProfileList",
    ])?;
    let elapsed = began.elapsed();
    if said.contains(&format!("queued for {count} devices")) {
        Ok(elapsed)
    } else {
        Err(said.into())
    }
}
