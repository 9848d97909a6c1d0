//! The databases that are measured.

use lanyard_tests::{
    database::{self, OnPostgres},
    site::Site,
};

pub(crate) enum Database {
    Sqlite,
    Postgres(OnPostgres),
}

/// SQLite, and PostgreSQL where `cargo xtask bench` has started one.
pub(crate) fn all() -> Result<Vec<Database>, String> {
    let postgres = database::on_measured_postgres()?;
    let postgres = postgres.into_iter().map(Database::Postgres);
    Ok([Database::Sqlite].into_iter().chain(postgres).collect())
}

impl Database {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite, durable",
            Self::Postgres(_) => "PostgreSQL, durable",
        }
    }

    pub(crate) fn url(&self, site: &Site) -> String {
        match self {
            Self::Sqlite => {
                let file = site.data().join("lanyard.db");
                format!("\"sqlite://{}\"", file.display())
            }
            Self::Postgres(database) => format!("\"{}\"", database.url()),
        }
    }
}
