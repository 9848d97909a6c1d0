//! PostgreSQL: one pool, whose transactions run side by side.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use super::PATIENCE;
use crate::StoreError;

/// Connections of one node. More than twice the database's processors only queue there.
const CONNECTIONS: u32 = 16;

/// A connection that nobody used for so long may be gone, with its server or with a firewall's memory of it: it is tried first.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The schemes that name PostgreSQL; the second one is what its own tools write as well.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

pub(super) fn is(url: &str) -> bool {
    SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

pub(super) async fn pool(url: &str, writes: bool) -> Result<DatabaseConnection, StoreError> {
    let [known, other] = SCHEMES;
    let url = match url.strip_prefix(other) {
        Some(rest) => format!("{known}{rest}"),
        None => url.to_owned(),
    };
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(CONNECTIONS)
        .connect_timeout(PATIENCE)
        .acquire_timeout(PATIENCE)
        .test_before_acquire_if_idle_for(TRUSTED_FOR)
        .set_application_name("lanyard")
        .sqlx_logging(false);
    options.map_sqlx_postgres_opts(move |postgres| {
        let patience = PATIENCE.as_millis().to_string();
        postgres.options([
            ("default_transaction_isolation", "read committed"),
            (
                "default_transaction_read_only",
                if writes { "off" } else { "on" },
            ),
            ("statement_timeout", &patience),
            // A node that hangs, or whose machine is gone, must not keep its locks from the others.
            ("idle_in_transaction_session_timeout", &patience),
        ])
    });
    Ok(Database::connect(options).await?)
}
