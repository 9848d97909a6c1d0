//! What waits for a person's answer: approvals, and the requests of SCEP transactions that are to be issued later.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, blob_null, text, text_null};

use super::m0001_initial::index;

/// Its names are spelled out, as in the first step.
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0003_approvals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut with_request = Table::alter();
        with_request
            .table("scep_transaction")
            .add_column(blob_null("request"));
        manager.alter_table(with_request).await?;
        manager.create_table(approval()).await?;
        for index in [
            index(
                "approval_person",
                "approval",
                &["directory", "person_id", "udid"],
            ),
            index("approval_state", "approval", &["state", "expires_at"]),
            index("approval_created", "approval", &["created_at"]),
            index(
                "scep_transaction_state",
                "scep_transaction",
                &["state", "updated_at"],
            ),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn approval() -> TableCreateStatement {
    Table::create()
        .table("approval")
        .col(text("id").primary_key())
        .col(text("binding"))
        .col(text("directory"))
        .col(text("person_id"))
        .col(text("udid"))
        .col(text_null("endpoint"))
        .col(text_null("transaction_id"))
        .col(text_null("signer_spki"))
        .col(text_null("csr_sha256"))
        .col(text("code"))
        .col(text("message"))
        .col(text("decision_id"))
        .col(text("state"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .col(big_integer_null("decided_at"))
        .col(text_null("decided_by"))
        .col(text_null("note"))
        .col(big_integer_null("used_at"))
        .take()
}
