//! What the host answered a plugin, beside the decision; decisions of bindings that are on trial.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{blob_null, text_null};

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0004_tape"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column at a time.
        for column in [blob_null("tape"), text_null("beside")] {
            let mut widened = Table::alter();
            widened.table("decision").add_column(column);
            manager.alter_table(widened).await?;
        }
        Ok(())
    }
}
