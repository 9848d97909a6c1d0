//! A database for each installation: a file, or one of its own on the PostgreSQL server that `cargo xtask test` starts.

use std::process::Command;

use crate::site::run;

/// Names the maintenance database, `postgres://…/postgres`, of the server that tests run on.
const OF_TESTS: &str = "LANYARD_TEST_POSTGRES";

/// The same of the one that is measured.
const MEASURED: &str = "LANYARD_BENCH_POSTGRES";

/// A database on a PostgreSQL server, which goes with this: a few megabytes for each test would add up.
pub struct OnPostgres {
    server: String,
    address: String,
    name: String,
}

/// A new, empty database on PostgreSQL; `None` where there is no server, and a file it is.
///
/// # Errors
/// What `createdb` says.
pub fn on_postgres() -> Result<Option<OnPostgres>, String> {
    OnPostgres::create(OF_TESTS)
}

/// The same on the PostgreSQL server that `cargo xtask bench` starts, which is durable.
///
/// # Errors
/// What `createdb` says.
pub fn on_measured_postgres() -> Result<Option<OnPostgres>, String> {
    OnPostgres::create(MEASURED)
}

impl OnPostgres {
    fn create(variable: &str) -> Result<Option<Self>, String> {
        let Ok(server) = std::env::var(variable) else {
            return Ok(None);
        };
        let (address, _) = server
            .rsplit_once('/')
            .ok_or_else(|| format!("{variable} is no URL: {server:?}"))?;
        let name = format!("site_{:032x}", rand::random::<u128>());
        run(Command::new("createdb").args(["--maintenance-db", &server, &name]))?;
        Ok(Some(Self {
            address: address.to_owned(),
            server,
            name,
        }))
    }

    /// Its URL, as the server's configuration takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/{}", self.address, self.name)
    }
}

impl Drop for OnPostgres {
    fn drop(&mut self) {
        let mut drop = Command::new("dropdb");
        drop.args(["--force", "--if-exists", "--maintenance-db"]);
        // A server that ended meanwhile has nothing to remove.
        let _ = run(drop.args([&self.server, &self.name]));
    }
}
