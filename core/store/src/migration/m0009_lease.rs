//! Work that one of several nodes does for all.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text};

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0009_lease"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let lease = Table::create()
            .table("lease")
            .col(text("work").primary_key())
            .col(text("holder"))
            .col(big_integer("until"))
            .take();
        manager.create_table(lease).await
    }
}
