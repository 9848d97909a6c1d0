//! Who vouches for a component, beside it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::text_null;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0005_plugin_signature"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut widened = Table::alter();
        widened.table("plugin").add_column(text_null("signature"));
        manager.alter_table(widened).await
    }
}
