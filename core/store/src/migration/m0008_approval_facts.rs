//! What an approval's answer is bound to.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{json_null, text_null};

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0008_approval_facts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [json_null("facts"), text_null("facts_sha256")] {
            let mut widened = Table::alter();
            widened.table("approval").add_column(column);
            manager.alter_table(widened).await?;
        }
        // Nobody knows what the open ones were about: they are asked for again.
        let expire = Query::update()
            .table("approval")
            .value("state", "expired")
            .and_where(Expr::col("state").is_in(["pending", "approved"]))
            .and_where(Expr::col("used_at").is_null())
            .take();
        manager.execute(expire).await
    }
}
