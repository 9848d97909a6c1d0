//! What a database says it would do.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, Value};

use super::rows::TABLES;

/// How often PostgreSQL is asked: from the sixth time on it may have a plan that does not know the values.
const TIMES: usize = 7;

/// Why a statement is too expensive, with its plan.
pub(super) async fn complaints(db: &DatabaseTransaction, statement: &Statement) -> Vec<String> {
    let verb = statement.sql.trim_start().split(' ').next();
    if !matches!(
        verb,
        Some("SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH")
    ) {
        return Vec::new();
    }
    let plans = match db.get_database_backend() {
        DbBackend::Postgres => of_postgres(db, statement).await,
        _ => vec![of_sqlite(db, statement).await],
    };
    let complain = |plan: &Vec<String>| {
        let scanned = plan.iter().find(|line| reads_whole_table(line));
        let what = match (scanned, walks_past(&statement.sql, plan)) {
            (Some(line), _) => line.trim().to_owned(),
            (None, Some(index)) => format!("what comes next is not looked for in {index}"),
            (None, None) => return None,
        };
        let text: String = statement.sql.chars().take(1000).collect();
        Some(format!("{what}\n{text}\n{}", plan.join("\n")))
    };
    plans.iter().find_map(complain).into_iter().collect()
}

/// "Seq Scan on command c" of PostgreSQL; "SCAN command", with an index or without, of SQLite, which names the alias if there is one.
fn reads_whole_table(line: &str) -> bool {
    let table = line
        .split_once("Seq Scan on ")
        .or_else(|| line.split_once("SCAN "))
        .and_then(|(_, rest)| rest.split([' ', '(']).next());
    table.is_some_and(|table| TABLES.contains(&table) || ["c", "e", "q", "m", "p"].contains(&table))
}

/// The one index in which a statement finds what comes next, if it uses another one: that walks past all that is done, or not due.
fn walks_past(sql: &str, plan: &[String]) -> Option<&'static str> {
    let looks_for_open = sql.contains("IN ('queued', 'sent', 'not_now')")
        && (sql.contains("ORDER BY") || sql.contains("MIN(m.seq)"))
        && !sql.contains("completed_at\" <");
    let index = if looks_for_open {
        "command_open"
    } else if sql.contains("ORDER BY \"person_standing\".\"due_at\"") {
        "person_standing_turn"
    } else {
        return None;
    };
    let is_used = plan.iter().any(|line| line.contains(index));
    (!is_used).then_some(index)
}

async fn of_sqlite(db: &DatabaseTransaction, statement: &Statement) -> Vec<String> {
    let mut explain = statement.clone();
    explain.sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
    let rows = db.query_all_raw(explain).await.unwrap();
    let detail = |row: &sea_orm::QueryResult| row.try_get("", "detail").unwrap();
    rows.iter().map(detail).collect()
}

/// As it is planned for those who run it again and again.
async fn of_postgres(db: &DatabaseTransaction, statement: &Statement) -> Vec<Vec<String>> {
    let values = statement.values.clone().map_or_else(Vec::new, |all| all.0);
    let types: Vec<&str> = values.iter().map(type_of).collect();
    let types = if types.is_empty() {
        String::new()
    } else {
        format!("({})", types.join(", "))
    };
    let prepare = format!("PREPARE hot {types} AS {}", statement.sql);
    db.execute_unprepared(&prepare).await.unwrap();
    let places: Vec<String> = (1..=values.len())
        .map(|place| format!("${place}"))
        .collect();
    let explain = match values.len() {
        0 => "EXPLAIN EXECUTE hot".to_owned(),
        _ => {
            let sql = format!("EXPLAIN EXECUTE hot ({})", places.join(", "));
            Statement::from_sql_and_values(DbBackend::Postgres, sql, values).to_string()
        }
    };
    let mut plans = Vec::new();
    for _ in 0..TIMES {
        let explain = Statement::from_string(DbBackend::Postgres, explain.clone());
        let rows = db.query_all_raw(explain).await.unwrap();
        let line = |row: &sea_orm::QueryResult| row.try_get_by_index(0).unwrap();
        plans.push(rows.iter().map(line).collect());
    }
    db.execute_unprepared("DEALLOCATE hot").await.unwrap();
    plans
}

/// The type that a parameter is announced as.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::BigInt(_) | Value::BigUnsigned(_) => "bigint",
        Value::String(_) => "text",
        Value::Bytes(_) => "bytea",
        Value::Json(_) => "json",
        other => panic!("{other:?} has no type here"),
    }
}
