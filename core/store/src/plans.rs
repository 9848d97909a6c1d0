//! The plans of the statements that run all day, with a million rows in each table: none reads a table from end to end, and none walks
//! through what is done to find what is to be done.
//!
//! The statements are those that the store's methods run, overheard on its connections.

mod hot;
mod plan;
mod rows;

use std::sync::{Arc, Mutex};

use lanyard_pki::seal::SealingKey;
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use uuid::Uuid;

use crate::Store;

/// Without one of these, some statement has to read a whole table, or the history.
const NEEDED: [&str; 8] = [
    "command_created",
    "command_open",
    "command_done",
    "command_uuid",
    "enrollment_device",
    "event_outbox_due",
    "person_standing_turn",
    "push_outbox_due",
];

/// What gives SQLite statistics. The server never does: without them, a plan follows from tables and statement alone, and is the same on each
/// installation and however many rows there are, so that those which are looked at here are those of the server. Whoever runs this all the same, or
/// `PRAGMA optimize`, in a shell of their own, must not lose by it.
const STATISTICS: &str = "PRAGMA analysis_limit = 1000; ANALYZE";

#[tokio::test]
async fn no_hot_statement_reads_a_whole_table() {
    let Ok(server) = std::env::var("LANYARD_TEST_POSTGRES") else {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lanyard.db");
        check(&format!("sqlite:{}", file.display())).await;
        return;
    };
    let name = format!("plans_{}", Uuid::new_v4().simple());
    let administrator = Database::connect(&server).await.unwrap();
    let run = async |sql: String| administrator.execute_unprepared(&sql).await.unwrap();
    run(format!("CREATE DATABASE {name}")).await;
    let (address, _) = server.rsplit_once('/').unwrap();
    let url = format!("{address}/{name}");
    let checked = tokio::spawn(async move { check(&url).await }).await;
    run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
    checked.unwrap();
}

async fn check(url: &str) {
    let mut store = Store::connect(url, SealingKey::generate()).await.unwrap();
    rows::fill(&store).await;
    let overheard = Overheard::of(&mut store);
    hot::run(&store).await;
    let statements = overheard.statements();
    assert!(statements.len() > 60, "{} statements", statements.len());

    expect_no_complaint(&store, &statements).await;
    for index in NEEDED {
        let db = store.begin().await.unwrap();
        let drop = format!("DROP INDEX {index}");
        db.execute_unprepared(&drop).await.unwrap();
        let mut missed = false;
        for statement in &statements {
            missed = missed || !plan::complaints(&db, statement).await.is_empty();
        }
        assert!(missed, "nothing is said of a missing {index}");
        db.rollback().await.unwrap();
    }

    let writer = store.writer().unwrap();
    if writer.get_database_backend() == DbBackend::Sqlite {
        writer.execute_unprepared(STATISTICS).await.unwrap();
        expect_no_complaint(&store, &statements).await;
    }
}

async fn expect_no_complaint(store: &Store, statements: &[Statement]) {
    let db = store.begin().await.unwrap();
    let mut complaints = Vec::new();
    for statement in statements {
        complaints.extend(plan::complaints(&db, statement).await);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
    db.rollback().await.unwrap();
}

/// What a store says to its database.
struct Overheard(Arc<Mutex<Vec<Statement>>>);

impl Overheard {
    fn of(store: &mut Store) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        for connection in store.connections() {
            let heard = Arc::clone(&heard);
            connection.set_metric_callback(move |info| {
                heard.lock().unwrap().push(info.statement.clone());
            });
        }
        Self(heard)
    }

    /// Each once, with the values that it had at first.
    fn statements(self) -> Vec<Statement> {
        let mut statements: Vec<Statement> = Vec::new();
        for statement in self.0.lock().unwrap().drain(..) {
            if statements.iter().all(|known| known.sql != statement.sql) {
                statements.push(statement);
            }
        }
        statements
    }
}
