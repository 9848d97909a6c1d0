//! How a push is spaced and repeated, and which device tokens are dead.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, integer};

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0010_push"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut reminders = integer("reminders");
        reminders.default(0);
        for (table, column) in [
            ("enrollment", big_integer_null("token_updated_at")),
            ("enrollment", big_integer_null("token_dead_at")),
            ("push_outbox", big_integer_null("not_before")),
            ("push_outbox", reminders),
        ] {
            let mut widened = Table::alter();
            widened.table(table).add_column(column);
            manager.alter_table(widened).await?;
        }
        // When the tokens came that are stored already is not known any better.
        let since = Query::update()
            .table("enrollment")
            .value("token_updated_at", Expr::col("enrolled_at"))
            .and_where(Expr::col("token").is_not_null())
            .take();
        manager.execute(since).await
    }
}
