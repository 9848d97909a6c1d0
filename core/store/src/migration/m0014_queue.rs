//! Commands that are done leave the index that queues are read by, and are found by when they ended. Enrollments are found by their
//! session.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text;

use super::m0001_initial::index;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0014_queue"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut before = Index::drop();
        before.name("command_queue").table("command");
        manager.drop_index(before).await?;
        let is_open = Expr::col("state").is_in(["queued", "sent", "not_now"]);
        let open = index("command_open", "command", &["enrollment_id", "seq"])
            .and_where(is_open)
            .take();
        let done = index("command_done", "command", &["completed_at"])
            .and_where(Expr::col("completed_at").is_not_null())
            .take();
        // Whoever forgets a session looks for those that came out of it.
        let session = index("enrollment_session_of", "enrollment", &["session_id"]);
        for index in [open, done, session] {
            manager.create_index(index).await?;
        }
        let forgotten = Table::create()
            .table("forgotten_command")
            .col(text("enrollment_id"))
            .col(text("uuid"))
            .primary_key(Index::create().col("enrollment_id").col("uuid"))
            .take();
        manager.create_table(forgotten).await
    }
}
