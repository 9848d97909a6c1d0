//! Identities are looked for by when they end.

use sea_orm_migration::prelude::*;

use super::m0001_initial::index;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0012_identity_end"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in [
            index("certificate_end", "certificate", &["not_after"]),
            index("enrollment_certificate", "enrollment", &["certificate"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
