//! A database for each installation: a file, or one of its own on the PostgreSQL server that `cargo xtask test` starts.

use std::process::Command;

use crate::site::run;

/// Names the maintenance database, `postgres://…/postgres`, of the server that tests run on.
const OF_TESTS: &str = "LANYARD_TEST_POSTGRES";

/// The same of the one that is measured.
const MEASURED: &str = "LANYARD_BENCH_POSTGRES";

/// The URL of a new, empty database on PostgreSQL; `None` where there is no server, and a file it is.
///
/// # Errors
/// What `createdb` says.
pub fn on_postgres() -> Result<Option<String>, String> {
    on_server(OF_TESTS)
}

/// The same on the PostgreSQL server that `cargo xtask bench` starts, which is durable.
///
/// # Errors
/// What `createdb` says.
pub fn on_measured_postgres() -> Result<Option<String>, String> {
    on_server(MEASURED)
}

fn on_server(variable: &str) -> Result<Option<String>, String> {
    let Ok(server) = std::env::var(variable) else {
        return Ok(None);
    };
    let (address, _) = server
        .rsplit_once('/')
        .ok_or_else(|| format!("{variable} is no URL: {server:?}"))?;
    let name = format!("site_{:032x}", rand::random::<u128>());
    run(Command::new("createdb").args(["--maintenance-db", &server, &name]))?;
    Ok(Some(format!("{address}/{name}")))
}
