//! A database for each installation: a file, or one of its own on the PostgreSQL server that `cargo xtask test` starts.

use std::process::Command;

use crate::site::run;

/// Names the server's maintenance database, `postgres://…/postgres`.
const SERVER: &str = "LANYARD_TEST_POSTGRES";

/// The URL of a new, empty database on PostgreSQL; `None` where there is no server, and a file it is.
///
/// # Errors
/// What `createdb` says.
pub fn on_postgres() -> Result<Option<String>, String> {
    let Ok(server) = std::env::var(SERVER) else {
        return Ok(None);
    };
    let (address, _) = server
        .rsplit_once('/')
        .ok_or_else(|| format!("{SERVER} is no URL: {server:?}"))?;
    let name = format!("site_{:032x}", rand::random::<u128>());
    run(Command::new("createdb").args(["--maintenance-db", &server, &name]))?;
    Ok(Some(format!("{address}/{name}")))
}
