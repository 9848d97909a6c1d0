//! Everybody with a device has a standing, and nobody else; whose turn it is is found by directory. The commands of all devices are listed by
//! when they were queued.

use sea_orm_migration::prelude::*;

use super::m0001_initial::index;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0015_standings"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut before = Index::drop();
        before.name("person_standing_due").table("person_standing");
        manager.drop_index(before).await?;
        for statement in [
            "DELETE FROM person_standing WHERE NOT EXISTS (SELECT 1 FROM enrollment e \
             WHERE e.directory = person_standing.directory AND e.person_id = person_standing.person_id \
             AND e.state <> 'checked_out')",
            "INSERT INTO person_standing (directory, person_id, active, due_at) \
             SELECT DISTINCT directory, person_id, TRUE, 0 FROM enrollment WHERE state <> 'checked_out' \
             ON CONFLICT DO NOTHING",
        ] {
            manager
                .get_connection()
                .execute_unprepared(statement)
                .await?;
        }
        let turn = index(
            "person_standing_turn",
            "person_standing",
            &["directory", "due_at"],
        );
        let newest = index("command_created", "command", &["created_at"]);
        for index in [turn, newest] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
