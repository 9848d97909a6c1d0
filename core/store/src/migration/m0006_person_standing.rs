//! What directories last said of persons, and when schedules are due.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, text};

use super::m0001_initial::index;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0006_person_standing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [person_standing(), event_schedule()] {
            manager.create_table(table).await?;
        }
        manager
            .create_index(index("person_standing_due", "person_standing", &["due_at"]))
            .await
    }
}

fn person_standing() -> TableCreateStatement {
    Table::create()
        .table("person_standing")
        .col(text("directory"))
        .col(text("person_id"))
        .col(boolean("active"))
        .col(big_integer("due_at"))
        .primary_key(Index::create().col("directory").col("person_id"))
        .take()
}

fn event_schedule() -> TableCreateStatement {
    Table::create()
        .table("event_schedule")
        .col(text("binding").primary_key())
        .col(text("schedule"))
        .col(big_integer("due_at"))
        .take()
}
