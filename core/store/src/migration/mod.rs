//! How the tables came about, one file a step. A step that is on the main branch is never edited: databases have already taken it.

mod m0001_initial;
mod m0002_policy;
mod m0003_approvals;
mod m0004_tape;
mod m0005_plugin_signature;
mod m0006_person_standing;
mod m0007_command_decision;
mod m0008_approval_facts;
mod m0009_lease;
mod m0010_push;
mod m0012_identity_end;
mod m0014_queue;
mod m0015_standings;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, FromQueryResult, Statement,
};
use sea_orm_migration::prelude::*;

use crate::StoreError;
use crate::turn::take_turn;

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_initial::Migration),
            Box::new(m0002_policy::Migration),
            Box::new(m0003_approvals::Migration),
            Box::new(m0004_tape::Migration),
            Box::new(m0005_plugin_signature::Migration),
            Box::new(m0006_person_standing::Migration),
            Box::new(m0007_command_decision::Migration),
            Box::new(m0008_approval_facts::Migration),
            Box::new(m0009_lease::Migration),
            Box::new(m0010_push::Migration),
            Box::new(m0012_identity_end::Migration),
            Box::new(m0014_queue::Migration),
            Box::new(m0015_standings::Migration),
        ]
    }
}

/// Takes the steps that this database has not taken yet, all of them or none. Of nodes that start together, one does.
pub(crate) async fn run(tx: DatabaseTransaction) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        // A step may touch every row that there is, and another node's may be waited for.
        let patiently = "SET LOCAL statement_timeout = 0";
        tx.execute_unprepared(patiently).await?;
    }
    take_turn(&tx, "migration", &[]).await?;
    Migrator::up(&tx, None).await?;
    Ok(tx.commit().await?)
}

/// Looks, without writing, whether exactly the steps of this version were taken.
pub(crate) async fn require_current(db: &DatabaseConnection) -> Result<(), StoreError> {
    #[derive(FromQueryResult)]
    struct Taken {
        version: String,
    }
    let statement = Statement::from_string(
        db.get_database_backend(),
        "SELECT version FROM seaql_migrations ORDER BY version",
    );
    // A database that was never migrated does not have this table either.
    let taken = Taken::find_by_statement(statement)
        .all(db)
        .await
        .map_err(|_| StoreError::Unmigrated)?;
    let steps = Migrator::migrations();
    let current = taken.len() == steps.len()
        && (steps.iter().zip(&taken)).all(|(step, taken)| step.name() == taken.version);
    if current {
        Ok(())
    } else {
        Err(StoreError::Unmigrated)
    }
}
